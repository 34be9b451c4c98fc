//go:build guest

package mountapi_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/mountinfo"
)

// mountsAt returns what /proc/self/mountinfo shows at a path, the lowest first.
func mountsAt(t *testing.T, target string) []mountinfo.Mount {
	t.Helper()
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := mountinfo.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []mountinfo.Mount
	for _, m := range all {
		if m.Target == target {
			found = append(found, m)
		}
	}
	return found
}

func mountAt(t *testing.T, target string) mountinfo.Mount {
	t.Helper()
	found := mountsAt(t, target)
	if len(found) != 1 {
		t.Fatalf("%d mounts at %s", len(found), target)
	}
	return found[0]
}

// attach makes a mount that goes with the test.
func attach(t *testing.T, fsType, source, target string, options []mountapi.Option, attributes mountapi.Attributes) {
	t.Helper()
	if err := mountapi.Attach(fsType, source, target, options, attributes); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mountapi.Detach(target) })
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// uniqueID returns a mount id that is never used again (statx(2), Linux 6.8).
func uniqueID(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID_UNIQUE, &st); err != nil || st.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
		t.Fatalf("statx %s: %v, mask %#x", path, err, st.Mask)
	}
	return st.Mnt_id
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestAttachMakesTheTargetAndMounts(t *testing.T) {
	target := filepath.Join(t.TempDir(), "a/b")
	attach(t, "tmpfs", "preroot", target, []mountapi.Option{{Key: "mode", Value: "0700"}, {Key: "size", Value: "64k"}},
		mountapi.ReadOnly|mountapi.NoSUID|mountapi.NoDev|mountapi.NoExec|mountapi.NoATime|mountapi.NoDirATime|mountapi.NoSymFollow)
	m := mountAt(t, target)
	if m.FSType != "tmpfs" || m.Source != "preroot" {
		t.Errorf("%+v", m)
	}
	for _, want := range []string{"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"} {
		if !strings.Contains(","+m.Options+",", ","+want+",") {
			t.Errorf("options %s without %s", m.Options, want)
		}
	}
	if !strings.HasPrefix(m.SuperOptions, "ro,") || !strings.Contains(m.SuperOptions, "size=64k") {
		t.Errorf("super block options %s", m.SuperOptions)
	}
	if err := os.WriteFile(target+"/x", nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("write to it: %v", err)
	}
}

func TestNoAttributesMeanTheDefaults(t *testing.T) {
	target := t.TempDir()
	attach(t, "tmpfs", "", target, nil, 0)
	if m := mountAt(t, target); m.Options != "rw,relatime" || m.Source != "none" {
		t.Errorf("%+v", m)
	}
	strict := t.TempDir()
	attach(t, "tmpfs", "s", strict, nil, mountapi.StrictATime)
	if m := mountAt(t, strict); m.Options != "rw" {
		t.Errorf("strictatime: %+v", m)
	}
}

// attachZeros makes a device without a file system.
func attachZeros(t *testing.T) (node string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "zeros")
	write(t, name, strings.Repeat("\x00", 64<<10))
	image, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	device, err := loopdev.Attach(image, 0, 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	return device.Path
}

func TestErrorsCarryTheKernelsReason(t *testing.T) {
	lower, loop := t.TempDir(), attachZeros(t)
	before := openDescriptors(t)
	for _, test := range []struct {
		name, fsType, source string
		options              []mountapi.Option
		operation            string
		errno                unix.Errno
		log                  string
	}{
		{"unknown type", "nosuchfs", "", nil, "open file system type", unix.ENODEV, ""},
		{"unknown option", "tmpfs", "x", []mountapi.Option{{Key: "nosuchoption"}},
			"set option nosuchoption", unix.EINVAL, "Unknown parameter 'nosuchoption'"},
		{"bad value", "tmpfs", "x", []mountapi.Option{{Key: "size", Value: "much"}},
			"set option size=much", unix.EINVAL, "Bad value for 'size'"},
		{"overlay without layers", "overlay", "x", nil, "mount", unix.EINVAL, "overlayfs: missing 'lowerdir'"},
		{"overlay of nothing", "overlay", "x", []mountapi.Option{{Key: "lowerdir+", Value: "/nowhere"}},
			"set option lowerdir+=/nowhere", unix.ENOENT, ""},
		{"overlay of one layer", "overlay", "x", []mountapi.Option{{Key: "lowerdir+", Value: lower}}, "mount", unix.EINVAL, "overlayfs: at least 2 lowerdir"},
		{"no file system", "ext4", loop, nil, "mount", unix.EINVAL, "EXT4-fs (" + filepath.Base(loop) + "): VFS: Can't find ext4 filesystem"},
		{"no such device", "ext4", "/dev/nowhere", nil, "mount", unix.ENOENT, ""},
		{"long value", "overlay", "x", []mountapi.Option{{Key: "lowerdir+", Value: "/" + strings.Repeat("l", 255)}},
			"set option lowerdir+=/" + strings.Repeat("l", 255), unix.ENAMETOOLONG, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := t.TempDir()
			err := mountapi.Attach(test.fsType, test.source, target, test.options, mountapi.ReadOnly)
			refused, ok := errors.AsType[*mountapi.Error](err)
			if !ok {
				t.Fatalf("%v", err)
			}
			if refused.Operation != test.operation || refused.Errno != test.errno || refused.Target != target ||
				refused.FSType != test.fsType || refused.Source != test.source {
				t.Errorf("%+v", refused)
			}
			if !strings.Contains(refused.KernelLog, test.log) || (test.log != "" && strings.HasPrefix(refused.KernelLog, "e ")) {
				t.Errorf("kernel log %q, want %q", refused.KernelLog, test.log)
			}
			if found := mountsAt(t, target); len(found) != 0 {
				t.Errorf("left behind: %+v", found)
			}
		})
	}
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestAMountIsDetachedUntilItIsMoved(t *testing.T) {
	before := openDescriptors(t)
	m, err := mountapi.New("tmpfs", "detached", []mountapi.Option{{Key: "size", Value: "1m"}}, mountapi.NoDev)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(text), " detached ") {
		t.Errorf("visible at once: %s, %v", text, err)
	}
	major, minor, err := m.DeviceNumber()
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := m.MoveTo(link); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(target, &st); err != nil || unix.Major(st.Dev) != major || unix.Minor(st.Dev) != minor {
		t.Errorf("device %d:%d, want %d:%d, %v", unix.Major(st.Dev), unix.Minor(st.Dev), major, minor, err)
	}
	m.Close()
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if err := mountapi.Detach(target); err != nil {
		t.Error(err)
	}

	if m, err = mountapi.New("tmpfs", "dropped", nil, 0); err != nil {
		t.Fatal(err)
	}
	err = m.MoveTo(filepath.Join(target, "nowhere"))
	refused, ok := errors.AsType[*mountapi.Error](err)
	if !ok || refused.Errno != unix.ENOENT || refused.Target != filepath.Join(target, "nowhere") {
		t.Errorf("attached to nothing: %v", err)
	}
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after a failure", before, after)
	}
}

func TestCloneShowsOnlyItsOwnMount(t *testing.T) {
	source := t.TempDir()
	attach(t, "tmpfs", "outer", source, nil, 0)
	write(t, source+"/part/file", "outer")
	attach(t, "tmpfs", "inner", source+"/part/below", nil, 0)
	write(t, source+"/part/below/file", "inner")

	clone, err := mountapi.Clone(source + "/part")
	if err != nil {
		t.Fatal(err)
	}
	if err := clone.SetAttributes(mountapi.ReadOnly | mountapi.NoExec); err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	if err := clone.MoveTo(target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mountapi.Detach(target) })
	if uniqueID(t, target) == uniqueID(t, source+"/part") {
		t.Error("the clone has the id of its source")
	}
	if m := mountAt(t, target); m.Root != "/part" || !strings.HasPrefix(m.Options, "ro,") || !strings.Contains(m.Options, "noexec") ||
		strings.HasPrefix(m.SuperOptions, "ro") {
		t.Errorf("%+v", m)
	}
	if _, err := os.Stat(target + "/below/file"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mount below came along: %v", err)
	}
	if err := os.WriteFile(target+"/new", nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("write to the clone: %v", err)
	}
	if err := os.WriteFile(source+"/part/new", nil, 0o600); err != nil {
		t.Errorf("write to the source: %v", err)
	}
	if _, err := mountapi.Clone(source + "/nowhere"); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), source+"/nowhere") {
		t.Errorf("clone of nothing: %v", err)
	}
}

func TestSetAttributesAddsToWhatIsThere(t *testing.T) {
	m, err := mountapi.New("tmpfs", "x", nil, mountapi.NoSUID)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	target := t.TempDir()
	for _, attributes := range []mountapi.Attributes{mountapi.NoDev, mountapi.NoATime, mountapi.StrictATime, mountapi.NoATime, 0, mountapi.NoDirATime} {
		if err := m.SetAttributes(attributes); err != nil {
			t.Fatalf("%#x: %v", attributes, err)
		}
	}
	if err := m.MoveTo(target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mountapi.Detach(target) })
	if got := mountAt(t, target).Options; got != "rw,nosuid,nodev,noatime,nodiratime" {
		t.Errorf("options %s", got)
	}
}

func TestMoveKeepsTheMountAndWhatIsBelow(t *testing.T) {
	source, target := t.TempDir(), t.TempDir()
	attach(t, "tmpfs", "outer", source, nil, mountapi.NoSUID)
	attach(t, "tmpfs", "inner", source+"/below", nil, 0)
	write(t, source+"/below/file", "inner")
	outer, inner := uniqueID(t, source), uniqueID(t, source+"/below")
	if err := mountapi.Move(source, target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mountapi.Detach(target) })
	if uniqueID(t, target) != outer || uniqueID(t, target+"/below") != inner {
		t.Error("the ids changed")
	}
	if len(mountsAt(t, source)) != 0 {
		t.Error("there is something left at the old place")
	}
	if _, err := os.Stat(target + "/below/file"); err != nil {
		t.Error(err)
	}
	err := mountapi.Move(source, target)
	refused, ok := errors.AsType[*mountapi.Error](err)
	if !ok || refused.Errno != unix.EINVAL || refused.Source != source || refused.Target != target {
		t.Errorf("move of what is no mount: %v", err)
	}
}

func TestDetachTakesAUsedMountWithAllBelow(t *testing.T) {
	target := t.TempDir()
	attach(t, "tmpfs", "outer", target, nil, 0)
	attach(t, "tmpfs", "inner", target+"/below", nil, 0)
	file, err := os.Create(target + "/below/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := mountapi.Detach(link); !errors.Is(err, unix.EINVAL) {
		t.Errorf("detached through a link: %v", err)
	}
	if err := mountapi.Detach(target); err != nil {
		t.Fatal(err)
	}
	if len(mountsAt(t, target))+len(mountsAt(t, target+"/below")) != 0 {
		t.Error("something is left")
	}
	if _, err := file.WriteString("still alive"); err != nil {
		t.Error(err)
	}
	if err := mountapi.Detach(target); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), target) {
		t.Errorf("detach of what is no mount: %v", err)
	}
}

// TestOverlayOfOddNames uses names that the option strings of mount(2) would
// have to escape.
func TestOverlayOfOddNames(t *testing.T) {
	base := t.TempDir()
	attach(t, "tmpfs", "x", base, nil, 0)
	names := []string{"a,b", "c:d", `e\f`, `g\:h\,i`, "j k", "l\tm\nn", "ö#'\"$", strings.Repeat("ü", 50)}
	var options []mountapi.Option
	for i, name := range names {
		layer := base + "/" + name
		write(t, layer+"/only-"+string(rune('a'+i)), name)
		write(t, layer+"/all", name)
		options = append(options, mountapi.Option{Key: "lowerdir+", Value: layer})
	}
	upper, work := base+`/upper,x:y\z`, base+`/work,x:y\z`
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target := t.TempDir()
	attach(t, "overlay", `an,odd\source`, target, append(options,
		// Unlike lowerdir+, these two take a backslash for an escape.
		mountapi.Option{Key: "upperdir", Value: strings.ReplaceAll(upper, `\`, `\\`)},
		mountapi.Option{Key: "workdir", Value: strings.ReplaceAll(work, `\`, `\\`)},
		mountapi.Option{Key: "redirect_dir", Value: "on"}, mountapi.Option{Key: "metacopy", Value: "off"},
		mountapi.Option{Key: "index", Value: "off"}), mountapi.NoATime)
	if m := mountAt(t, target); m.FSType != "overlay" || m.Source != `an,odd\source` {
		t.Errorf("%+v", m)
	}
	for i, name := range names {
		if text, err := os.ReadFile(target + "/only-" + string(rune('a'+i))); err != nil || string(text) != name {
			t.Errorf("layer %q: %q, %v", name, text, err)
		}
	}
	if text, err := os.ReadFile(target + "/all"); err != nil || string(text) != names[0] {
		t.Errorf("the first layer is not the top one: %q, %v", text, err)
	}
	write(t, target+"/new", "x")
	if _, err := os.Stat(upper + "/new"); err != nil {
		t.Error(err)
	}
}

// TestManyLayers is far beyond the page of options that mount(2) takes.
func TestManyLayers(t *testing.T) {
	base := t.TempDir()
	attach(t, "tmpfs", "x", base, nil, 0)
	var options []mountapi.Option
	for i := range 120 {
		layer := base + "/" + strings.Repeat("l", 150) + string(rune('0'+i/64)) + string(rune('0'+i%64))
		write(t, layer+"/top", layer)
		options = append(options, mountapi.Option{Key: "lowerdir+", Value: layer})
	}
	target := t.TempDir()
	attach(t, "overlay", "x", target, options, mountapi.ReadOnly)
	if text, err := os.ReadFile(target + "/top"); err != nil || string(text) != options[0].Value {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAttachWithoutATarget(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	if err := mountapi.Attach("tmpfs", "x", file+"/below", nil, 0); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("attached below a file: %v", err)
	}
}

func TestAClosedMountIsRefused(t *testing.T) {
	m, err := mountapi.New("tmpfs", "x", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	m.Close()
	_, _, err = m.DeviceNumber()
	for _, err := range []error{err, m.SetAttributes(mountapi.ReadOnly), m.MoveTo(t.TempDir())} {
		if !errors.Is(err, unix.EBADF) {
			t.Error(err)
		}
	}
}
