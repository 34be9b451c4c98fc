//go:build guest

package apply

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/cms"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// world is a root file system to merge into.
type world struct {
	*testing.T
	path string
	root *rootdir.Root
	dm   *devmapper.Control
}

// newWorld makes a root on a file system of its own: "tmpfs", "ext4", or the read-only "erofs" and
// "squashfs". What a test wants in it besides an ordinary system is made by fill.
func newWorld(t *testing.T, fsType string, fill func(w *world)) *world {
	t.Helper()
	w := &world{T: t, path: newDirectory(t)}
	var err error
	if w.dm, err = devmapper.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.dm.Close() })
	switch fsType {
	case "tmpfs":
		w.mount("tmpfs", "tmpfs", 0)
		w.fill(fill)
	case "ext4":
		image := filepath.Join(t.TempDir(), "root.img")
		w.check(os.WriteFile(image, nil, 0o600))
		w.check(os.Truncate(image, 64<<20))
		w.run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", image)
		w.mount(fsType, attachWritable(t, image), 0)
		w.check(os.Remove(filepath.Join(w.path, "lost+found")))
		w.fill(fill)
	default:
		tree := &world{T: t, path: t.TempDir()}
		tree.fill(fill)
		loop, err := loopdev.Attach(openFile(t, packTree(t, fsType, tree.path)), 0, 0, 512)
		w.check(err)
		defer loop.Close()
		w.mount(fsType, loop.Path, unix.MS_RDONLY)
	}
	w.root, err = rootdir.Open(w.path)
	w.check(err)
	t.Cleanup(func() { w.root.Close() })
	return w
}

// newDirectory is like t.TempDir, with a name that is short enough for systemd's mount options.
func newDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("/tmp", "w")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// mount mounts the root, until the end of the test.
func (w *world) mount(fsType, source string, flags uintptr) {
	w.Helper()
	w.check(unix.Mount(source, w.path, fsType, flags, ""))
	w.Cleanup(func() {
		if err := unix.Unmount(w.path, unix.MNT_DETACH); err != nil {
			w.Error(err)
		}
	})
}

func (w *world) fill(more func(w *world)) {
	w.Helper()
	w.check(os.Chmod(w.path, 0o755))
	for _, directory := range []string{"etc", "usr/lib", "opt", "run", "var/lib/confexts", "var/lib/extensions", "usr/lib/confexts", "usr/lib/systemd"} {
		w.check(os.MkdirAll(w.at(directory), 0o755))
	}
	w.write("usr/lib/os-release", "ID=debian\nVERSION_ID=14\n")
	w.check(os.Symlink("../usr/lib/os-release", w.at("etc/os-release")))
	w.write("etc/base", "host\n")
	w.write("etc/both", "host\n")
	w.write("usr/base", "host\n")
	if more != nil {
		more(w)
	}
}

func (w *world) at(name string) string { return filepath.Join(w.path, name) }

func (w *world) write(name, text string) {
	w.Helper()
	w.check(os.MkdirAll(filepath.Dir(w.at(name)), 0o755))
	w.check(os.WriteFile(w.at(name), []byte(text), 0o644))
}

func (w *world) read(name string) string {
	w.Helper()
	text, err := os.ReadFile(w.at(name))
	if err != nil {
		w.Error(err)
	}
	return string(text)
}

func (w *world) missing(name string) {
	w.Helper()
	if _, err := os.Lstat(w.at(name)); !os.IsNotExist(err) {
		w.Errorf("%s is there (%v)", name, err)
	}
}

// run runs a program of another tree, and returns all that it printed.
func (w *world) run(name string, arguments ...string) string {
	w.Helper()
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		w.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, output)
	}
	return string(output)
}

// confextFiles are those of a confext: etc/NAME and etc/both say who brought them.
func confextFiles(name string) map[string]string {
	return map[string]string{
		"etc/extension-release.d/extension-release." + name: "ID=_any\n",
		"etc/" + name: name + "\n", "etc/both": name + "\n",
	}
}

func sysextFiles(name string) map[string]string {
	return map[string]string{
		"usr/lib/extension-release.d/extension-release." + name: "ID=_any\n",
		"usr/share/" + name: name + "\n", "opt/" + name: name + "\n",
	}
}

// addDirectory makes an extension of files at a place in the root.
func (w *world) addDirectory(at string, files map[string]string) {
	w.Helper()
	for name, text := range files {
		w.write(filepath.Join(at, name), text)
	}
}

// setMutable sets Mutable= for both classes.
func (w *world) setMutable(mode string) {
	w.write("usr/lib/systemd/confext.conf", "[ConfExt]\nMutable="+mode+"\n")
	w.write("usr/lib/systemd/sysext.conf", "[SysExt]\nMutable="+mode+"\n")
}

// useHostAsUpper links the mutable directory of /etc to /etc.
func (w *world) useHostAsUpper() {
	w.Helper()
	w.setMutable("auto")
	w.check(os.MkdirAll(w.at("var/lib/extensions.mutable"), 0o755))
	w.check(os.Symlink("/etc", w.at("var/lib/extensions.mutable/etc")))
}

// openWorkspace opens a workspace where PID 1 has it, and closes it with the test if the test does not.
func (w *world) openWorkspace() *Workspace {
	w.Helper()
	noModules := func(string) error { return nil }
	environment := Environment{
		Root: w.root, OpenDM: devmapper.Open, LoadModule: noModules,
		Certificates: func() ([]*cms.Certificate, error) { return nil, nil },
	}
	ws, err := NewWorkspace(w.at("run/preroot/workspace"), environment)
	if os.IsPermission(err) || err != nil && strings.Contains(err.Error(), "read-only") {
		ws, err = NewWorkspace(filepath.Join(newDirectory(w.T), "workspace"), environment)
	}
	w.check(err)
	return ws
}

// observe does what PID 1 does before it plans a class.
func (w *world) observe(ws *Workspace, class osrelease.Class) plan.MergeInput {
	w.Helper()
	settings, err := extension.ReadSettings(w.root, class, extension.VerifiedSettings)
	w.check(err)
	fields, err := extension.HostRelease(w.root, "")
	w.check(err)
	input := plan.MergeInput{
		Class: class, Settings: settings, RootPath: w.path,
		Host: osrelease.Host{Fields: fields, Architecture: osrelease.Architecture(runtime.GOARCH)},
	}
	for _, path := range extension.Hierarchies(class) {
		input.Hierarchies = append(input.Hierarchies, extension.ReadHierarchy(w.root, path))
	}
	images, err := extension.Discover(w.root, extension.Search{Class: class})
	w.check(err)
	input.Candidates = ws.Examine(images, extension.Hierarchies(class))
	return input
}

// merge merges a class as PID 1 does. What was mounted goes with the test.
func (w *world) merge(class osrelease.Class) *plan.Merge {
	w.Helper()
	ws := w.openWorkspace()
	m, err := plan.PlanMerge(w.observe(ws, class))
	w.check(err)
	w.check(ws.Merge(m))
	w.unmergeLater(m)
	w.check(ws.Close())
	return m
}

func (w *world) unmergeLater(m *plan.Merge) {
	w.Cleanup(func() { w.unmerge(m) })
}

// unmerge takes the overlays away, if they are there.
func (w *world) unmerge(m *plan.Merge) {
	for _, o := range m.Overlays {
		for _, mount := range w.mounts(strings.TrimPrefix(o.Target, w.path)) {
			if mount.FSType == "overlay" && mount.Root == "/" {
				w.check(mountapi.Detach(o.Target))
			}
		}
	}
}

// mounts lists what is mounted at a path of the root.
func (w *world) mounts(name string) []mountinfo.Mount {
	w.Helper()
	var found []mountinfo.Mount
	for _, m := range allMounts(w.T) {
		if m.Target == w.at(name) {
			found = append(found, m)
		}
	}
	return found
}

func allMounts(t *testing.T) []mountinfo.Mount {
	t.Helper()
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	mounts, err := mountinfo.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return mounts
}

// rejected returns the reasons of what was left out.
func rejected(m *plan.Merge) map[string]string {
	reasons := map[string]string{}
	for _, d := range m.Decisions {
		if !d.Accepted {
			reasons[d.Name] = d.Reason
		}
	}
	return reasons
}

// imageDevices lists the loop devices in use and the mapped devices.
func imageDevices(t *testing.T) []string {
	t.Helper()
	var devices []string
	for _, pattern := range []string{"/sys/block/loop*/loop/backing_file", "/sys/block/dm-*/dm/name"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil {
				devices = append(devices, strings.TrimSpace(string(text)))
			}
		}
	}
	slices.Sort(devices)
	return devices
}

func openFile(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// attachWritable makes a loop device that takes writes and goes with its last user.
func attachWritable(t *testing.T, image string) string {
	t.Helper()
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	control := openFile(t, "/dev/loop-control")
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		t.Fatal(err)
	}
	node := fmt.Sprintf("/dev/loop%d", number)
	loop, err := os.OpenFile(node, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// The mount holds the device from then on.
	t.Cleanup(func() { loop.Close() })
	config := unix.LoopConfig{Fd: uint32(file.Fd()), Size: 512, Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
		t.Fatal(err)
	}
	return node
}

// packTree makes an image of a tree.
func packTree(t *testing.T, fsType, tree string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	command := exec.Command("mkfs.erofs", "-T0", image, tree)
	if fsType == "squashfs" {
		command = exec.Command("mksquashfs", tree, image, "-quiet", "-no-progress", "-noappend")
	}
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, output)
	}
	return image
}
