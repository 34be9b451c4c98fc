//go:build guest

package boot

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/osrelease"
)

// inChild runs a test in a process and a mount namespace of its own. It reports whether this is that process.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		return true
	}
	command := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), childVariable+"="+t.Name(), "TMPDIR="+t.TempDir(), cacheVariable+"="+t.TempDir())
	command.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	return false
}

// TestSeparateVar (E33, E32): the fstab of a confext on /usr wants /var early. The extensions on it are merged then, into one overlay, and systemd's refresh
// skips. A mount that the root's own fstab wants in /etc survives both merges.
func TestSeparateVar(t *testing.T) {
	if !inChild(t) {
		return
	}
	s := newStage(t)
	s.writeAll("var/lib/confexts/late", confextFiles("late"))
	s.writeAll("var/lib/extensions/tool", sysextFiles("tool"))
	s.mkdir("etc/private")
	s.mkdir("opt/early")
	s.write("etc/fstab", "tmpfs /etc/private tmpfs mode=0711,x-initrd.mount\nLABEL=nowhere /mnt/late ext4 x-initrd.mount,nofail\n")
	varNode := s.attach(makeFileSystem(t, "ext4", s.cut("var"), nil))
	s.writeAll("usr/lib/confexts/base", confextFiles("base"))
	s.write("usr/lib/confexts/base/etc/fstab", varNode+" /var ext4 nosuid,x-initrd.mount 0 2\ntmpfs /opt/early tmpfs x-initrd.mount\n/dev/loop0 /usr/lib ext4 x-initrd.mount\n")
	usrNode := s.attach(makeFileSystem(t, "erofs", s.cut("usr"), nil))
	rootNode := s.attach(makeFileSystem(t, "ext4", s.path, nil))

	w := enterInitramfs(t, t.TempDir())
	w.mount([]mounted{{at: "", fsType: "ext4", node: rootNode}, {at: "/usr", fsType: "erofs", node: usrNode}})
	w.check(apply.MoveEarly(newRoot))
	w.boot.plan.Timeout = 10 * time.Second
	w.check(w.boot.mergeAll())
	want := []bootreport.EarlyMount{
		{Where: "/etc/private", Device: "tmpfs", FileSystem: "tmpfs"}, {Where: "/var", Device: varNode, FileSystem: "ext4"},
		{Where: "/opt/early", Device: "tmpfs", FileSystem: "tmpfs"},
	}
	if !slices.Equal(w.boot.report.EarlyMounts, want) {
		t.Errorf("%+v", w.boot.report.EarlyMounts)
	}
	if len(w.boot.report.Merges) != 2 || len(w.boot.merged) != 2 {
		t.Errorf("%+v", w.boot.report.Merges)
	}
	warnings := strings.Join(w.boot.report.Warnings, "\n")
	for _, text := range []string{"/mnt/late is not mounted early, and left to the real root: no partition LABEL=nowhere appeared within 0s", "/usr/lib is not mounted early: it lies in /usr"} {
		if strings.Count(warnings, text) != 1 {
			t.Errorf("want %q once:\n%s", text, warnings)
		}
	}
	w.handOver()
	for class, names := range map[osrelease.Class][]string{confext: {"base", "late"}, sysext: {"tool"}} {
		if got := w.names(class); !slices.Equal(got, names) {
			t.Errorf("%s: %q, want %q", class, got, names)
		}
		output, err := w.program("systemd-"+string(class), "refresh")
		if err != nil || !strings.Contains(output, skipped) {
			t.Errorf("systemd does not skip: %v\n%s", err, output)
		}
	}
	for file, text := range map[string]string{"/etc/late": "late\n", "/etc/base": "base\n", "/usr/share/tool": "tool\n"} {
		if content, err := os.ReadFile(file); err != nil || string(content) != text {
			t.Errorf("%s holds %q, %v", file, content, err)
		}
	}
	for _, at := range []string{"/etc/private", "/opt/early", "/var"} {
		if !mountapi.IsMountPoint(at) {
			t.Errorf("nothing is mounted at %s", at)
		}
	}
	mounts, err := observe.Mounts()
	w.check(err)
	count := map[string]int{}
	for _, m := range mounts {
		if m.FSType == "overlay" {
			count[m.Target]++
		}
		if m.Target == "/var" && !strings.Contains(m.Options, "nosuid") {
			t.Errorf("%+v", m)
		}
	}
	for _, hierarchy := range []string{"/etc", "/usr", "/opt"} {
		if count[hierarchy] != 1 {
			t.Errorf("%d overlays at %s", count[hierarchy], hierarchy)
		}
	}
}
