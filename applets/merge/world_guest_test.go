//go:build guest

package merge

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/osrelease"
)

// world is the running system of the guest with other hierarchies than the real ones: both programs are told so by
// the environment, and do all that they do to /etc.
type world struct {
	*testing.T
	class     osrelease.Class
	images    string   // the directory of extensions
	hierarchy string   // the first one
	others    []string // hierarchies besides it
	mode      string   // an option, for tests that go through several
}

const confexts = "/var/lib/confexts"

// newWorld makes hierarchies with the files base and both, on shared mounts as systemd has them, and a search path on tmpfs. The
// usual one is /srv/etc.
func newWorld(t *testing.T, hierarchies ...string) *world {
	t.Helper()
	return newWorldOf(t, osrelease.ClassConfext, hierarchies...)
}

func newWorldOf(t *testing.T, class osrelease.Class, hierarchies ...string) *world {
	t.Helper()
	w := &world{T: t, class: class, images: confexts, hierarchy: "/srv/etc"}
	if class == osrelease.ClassSysext {
		w.images = "/var/lib/extensions"
	}
	if len(hierarchies) > 0 {
		w.hierarchy, w.others = hierarchies[0], hierarchies[1:]
	}
	for _, directory := range []string{"/srv", "/var/lib", "/run/systemd"} {
		w.check(os.MkdirAll(directory, 0o755))
		w.check(unix.Mount("tmpfs", directory, "tmpfs", 0, "mode=0755"))
		t.Cleanup(func() { _ = unix.Unmount(directory, unix.MNT_DETACH) })
	}
	if w.hierarchy == "/etc" {
		// The guest's root is the kernel's first rootfs, on which nothing can be mounted beneath.
		w.check(unix.Mount("/etc", "/etc", "", unix.MS_BIND, ""))
		t.Cleanup(func() { _ = unix.Unmount("/etc", unix.MNT_DETACH) })
	}
	w.check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""))
	t.Cleanup(func() { _ = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") })
	w.check(os.MkdirAll(w.images, 0o755))
	for _, hierarchy := range w.hierarchies() {
		w.write(hierarchy+"/base", "host\n")
		w.write(hierarchy+"/both", "host\n")
	}
	w.write("/usr/lib/os-release", "ID=debian\nVERSION_ID=14\n")
	t.Setenv("SYSTEMD_"+strings.ToUpper(string(class))+"_HIERARCHIES", strings.Join(w.hierarchies(), ":"))
	t.Setenv("SYSTEMD_LOOP_DIRECT_IO", "0")
	t.Setenv("SYSTEMD_NSPAWN_LOCK", "0")
	t.Cleanup(func() {
		for {
			if output, err := w.try("unmerge"); err != nil || !strings.Contains(output, "Unmerged") {
				return
			}
		}
	})
	return w
}

func (w *world) program() string { return "systemd-" + string(w.class) }

func (w *world) hierarchies() []string { return append([]string{w.hierarchy}, w.others...) }

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) write(name, text string) {
	w.Helper()
	w.check(os.MkdirAll(filepath.Dir(name), 0o755))
	w.check(os.WriteFile(name, []byte(text), 0o644))
}

// add makes a directory for the hierarchies. Its release file is where that of the class is, whatever is merged.
func (w *world) add(name string, files ...string) {
	w.Helper()
	at := filepath.Join(w.images, name)
	w.release(at, name, "ID=_any\n")
	for _, hierarchy := range w.hierarchies() {
		for _, file := range append(files, name, "both") {
			w.write(filepath.Join(at, hierarchy, file), name+"\n")
		}
	}
}

// release writes the release file of an extension at a place.
func (w *world) release(at, name, text string) {
	w.Helper()
	w.write(filepath.Join(at, osrelease.ReleaseFileName(w.class, name)), text)
}

// image makes a verity image of what add makes a directory of.
func (w *world) image(name string) []byte {
	w.Helper()
	content, err := os.ReadFile(w.pack("erofs", name))
	w.check(err)
	return dditest.Image{Content: content}.Build().Data
}

// pack makes a file system of what add makes a directory of.
func (w *world) pack(fsType, name string) string {
	w.Helper()
	tree := w.TempDir()
	w.release(tree, name, "ID=_any\n")
	for _, hierarchy := range w.hierarchies() {
		w.write(filepath.Join(tree, hierarchy, name), name+"\n")
		w.write(filepath.Join(tree, hierarchy, "both"), name+"\n")
	}
	return packTree(w.T, fsType, tree)
}

// try runs the applet; it prints to one place.
func (w *world) try(arguments ...string) (string, error) {
	var output bytes.Buffer
	s := &session{stdout: &output, stderr: &output, lookupEnv: os.LookupEnv}
	if code := s.run(append([]string{w.program()}, arguments...)); code != 0 {
		return output.String(), &exec.ExitError{}
	}
	return output.String(), nil
}

func (w *world) ours(arguments ...string) string {
	w.Helper()
	output, err := w.try(arguments...)
	if err != nil {
		w.Fatalf("%q: %s", arguments, output)
	}
	return output
}

func (w *world) theirs(arguments ...string) string {
	w.Helper()
	output, err := exec.Command(w.program(), arguments...).CombinedOutput()
	if err != nil {
		w.Fatalf("%s %q: %v: %s", w.program(), arguments, err, output)
	}
	return string(output)
}

func (w *world) has(text, part string) {
	w.Helper()
	if !strings.Contains(text, part) {
		w.Errorf("%q is not in:\n%s", part, text)
	}
}

func (w *world) is(got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// read returns what a file of the first hierarchy holds, without the end of the line.
func (w *world) read(name string) string { return w.readIn(w.hierarchy, name) }

func (w *world) readIn(hierarchy, name string) string {
	w.Helper()
	text, err := os.ReadFile(filepath.Join(hierarchy, name))
	if err != nil {
		return "missing"
	}
	return strings.TrimSuffix(string(text), "\n")
}
