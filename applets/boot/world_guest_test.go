//go:build guest

package boot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/kernelmodules"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// world is a boot in a mount namespace of its own: the process goes from the guest into an initramfs, and from there
// into the real root.
type world struct {
	*testing.T
	boot *boot
	// tools is the guest's own root, for its programs, which are at /tools in the real root.
	tools *mountapi.Mount
	// all are the file systems; those that are late are mounted after the switch.
	all   []mounted
	begun time.Time
	// usrTime is the modification time of the bare /usr, in nanoseconds.
	usrTime int64
}

// mounted is one of the root's file systems.
type mounted struct {
	at, fsType, node string
	late             bool
	// verity is what opens node, nil if it is there.
	verity *plan.Verity
}

// enterInitramfs leaves the guest's root for an empty one in memory, with nothing but the modules, and mounts the kernel's
// file systems as PID 1 does.
func enterInitramfs(t *testing.T, stage string) *world {
	w := &world{T: t, begun: time.Now()}
	guest, err := mountapi.Clone("/")
	w.check(err)
	w.tools, err = mountapi.Clone("/")
	w.check(err)
	filled, err := mountapi.Clone(stage)
	w.check(err)
	modules, err := mountapi.Clone("/lib/modules")
	w.check(err)
	initramfs := t.TempDir()
	w.check(mountapi.Attach("tmpfs", "initramfs", initramfs, nil, 0))
	w.check(os.Chdir(initramfs))
	for _, directory := range []string{"dev", "proc", "sys", "run", "sysroot", "tools", "stage", "lib/modules", "etc", "tmp"} {
		w.check(os.MkdirAll(directory, 0o755))
	}
	w.check(unix.Mount(".", "/", "", unix.MS_MOVE, ""))
	w.check(unix.Chroot("."))
	w.check(os.Chdir("/"))
	w.check(modules.MoveTo("/lib/modules"))
	w.check(guest.MoveTo("/tools"))
	w.check(filled.MoveTo("/stage"))
	w.check(apply.MountAPI())

	var uname unix.Utsname
	w.check(unix.Uname(&uname))
	w.boot = &boot{
		log: &bootlog.Logger{}, report: bootreport.New("", "", "full"), reasons: map[string]string{}, restorePanic: func() {}, lowerPriority: func() error { return nil },
		plan:    &plan.Boot{Init: "/usr/sbin/init", Usr: plan.Usr{Source: plan.UsrVerity}},
		failure: plan.Failure{WorkTime: plan.DefaultWorkTime},
	}
	w.boot.index, err = kernelmodules.ReadIndex("/", unix.ByteSliceToString(uname.Release[:]))
	w.check(err)
	w.boot.loader = kernelmodules.NewLoader(w.boot.index)
	return w
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// mount mounts the root's file systems in their order, as PID 1 does.
func (w *world) mount(all []mounted) {
	w.Helper()
	w.all = all
	for _, m := range all {
		if m.late {
			continue
		}
		node, how := m.node, plan.FileSystem{}
		switch {
		case m.verity != nil:
			dm, err := devmapper.Open()
			w.check(err)
			device, err := apply.OpenVerity(dm, m.verity)
			w.check(err)
			node, how.Attributes = device.Node(), mountapi.ReadOnly
			defer func() { w.check(dm.RemoveWhenUnused(m.verity.Name)); dm.Close() }()
		case node == "":
			node = m.fsType
		}
		w.check(apply.MountFileSystem(m.fsType, node, newRoot+m.at, how))
		if m.fsType == "tmpfs" {
			w.run("cp", "-a", "--sparse=always", "/stage/root"+m.at+"/.", newRoot+m.at)
		}
	}
	var st unix.Stat_t
	w.check(unix.Stat(newRoot+"/usr", &st))
	w.usrTime = st.Mtim.Nano()
}

// handOver switches to the root, and makes of it what systemd does first of all.
func (w *world) handOver() {
	w.Helper()
	for _, helper := range []string{"/lib/modules", "/stage", "/tools"} {
		w.check(mountapi.Detach(helper))
	}
	switched, err := w.boot.switchRoot()
	w.check(err)
	w.check(w.tools.MoveTo("/tools"))
	if len(switched.LeftOver) > 0 {
		w.Errorf("left in the initramfs: %q", switched.LeftOver)
	}
	w.check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""))
	for _, m := range w.all {
		if m.late {
			w.check(unix.Mount(m.node, m.at, m.fsType, 0, ""))
		}
	}
}

// program runs a program of the guest, from wherever its root is now.
func (w *world) program(name string, arguments ...string) (string, error) {
	w.Helper()
	at := "/tools/usr/bin/" + name
	if _, err := os.Lstat(at); err != nil {
		at = "/tools/usr/sbin/" + name
	}
	libraries := []string{"/tools/usr/lib/x86_64-linux-gnu", "/tools/lib/x86_64-linux-gnu", "/tools/usr/lib/x86_64-linux-gnu/systemd"}
	command := exec.Command("/tools/lib64/ld-linux-x86-64.so.2",
		append([]string{"--argv0", name, "--library-path", strings.Join(libraries, ":"), at}, arguments...)...)
	// Direct reads of a loop device over erofs fail on Linux 6.12.
	command.Env = append(os.Environ(), "SYSTEMD_LOOP_DIRECT_IO=0")
	output, err := command.CombinedOutput()
	return string(output), err
}

func (w *world) run(name string, arguments ...string) string {
	w.Helper()
	output, err := w.program(name, arguments...)
	if err != nil {
		w.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, output)
	}
	return output
}

// origin is the object in the file "origin" of the first merged hierarchy, nil without one.
func (w *world) origin(class osrelease.Class) map[string]any {
	w.Helper()
	for _, hierarchy := range extension.Hierarchies(class) {
		text, err := os.ReadFile(hierarchy + "/" + extension.MetadataDirectory(class) + "/origin")
		if os.IsNotExist(err) {
			continue
		}
		w.check(err)
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var object map[string]any
		w.check(decoder.Decode(&object))
		return object
	}
	return nil
}

// entries are the members of an origin's "extensions".
func entries(origin map[string]any) map[string]any {
	found, _ := origin["extensions"].(map[string]any)
	return found
}

// names are those in the list of the merged extensions.
func (w *world) names(class osrelease.Class) []string {
	return slices.Sorted(maps.Keys(entries(w.origin(class))))
}

// snapshot is all that a class shows: files with their content, and the metadata without what differs with every mount.
func (w *world) snapshot(class osrelease.Class) map[string]string {
	w.Helper()
	seen := map[string]string{}
	for _, hierarchy := range extension.Hierarchies(class) {
		err := filepath.WalkDir(hierarchy, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Lstat(name)
			if err != nil {
				return err
			}
			seen[name] = info.Mode().String()
			if base := filepath.Base(name); !info.Mode().IsRegular() || base == "dev" || base == "origin" || info.Size() > 4096 {
				return nil
			}
			content, err := os.ReadFile(name)
			seen[name] += " " + string(content)
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			w.Error(err)
		}
	}
	return seen
}

// compare reports what differs between two maps.
func compare[V any](ours, theirs map[string]V) []string {
	var differences []string
	all := maps.Clone(ours)
	maps.Copy(all, theirs)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		left, here := ours[key]
		right, there := theirs[key]
		switch {
		case !here:
			differences = append(differences, fmt.Sprintf("%s is missing; systemd has %v", key, right))
		case !there:
			differences = append(differences, fmt.Sprintf("%s is %v; systemd has none", key, left))
		case !reflect.DeepEqual(left, right):
			differences = append(differences, fmt.Sprintf("%s is %v; systemd has %v", key, left, right))
		}
	}
	return differences
}

// wantTimeOfUsr makes sure that a merged /usr looks as old as the bare one: ConditionNeedsUpdate= compares its time.
func (w *world) wantTimeOfUsr() {
	w.Helper()
	var st unix.Stat_t
	w.check(unix.Stat("/usr", &st))
	if st.Mtim.Nano() != w.usrTime {
		w.Errorf("/usr is of %v, was of %v", time.Unix(0, st.Mtim.Nano()), time.Unix(0, w.usrTime))
	}
}
