//go:build guest

package apply

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// Links are followed inside the root, and what they lead to is judged: nothing covers the verified /usr or is mounted outside.
func TestMountInside(t *testing.T) {
	w := &world{T: t, path: newDirectory(t)}
	w.mount("tmpfs", "tmpfs", 0)
	w.fill(func(w *world) {
		for name, target := range map[string]string{
			"toUsr": "/usr", "toUsrLib": "usr/lib", "up": "../../../../..", "toRun": "/run", "toVar": "/var", "dangling": "/nowhere", "loop": "loop",
			"var/here": "../srv", "outside": "/srv/../../etc",
		} {
			w.check(os.Symlink(target, w.at(name)))
		}
		w.check(os.Mkdir(w.at("srv"), 0o755))
		w.write("file", "x")
	})
	var err error
	w.root, err = rootdir.Open(w.path)
	w.check(err)
	defer w.root.Close()
	options, attributes := mountapi.ParseOptions("nosuid,nodev,mode=0711")
	fs := plan.FileSystem{Options: options, Attributes: attributes}
	outside := len(allMounts(t))
	for where, want := range map[string]string{
		"/usr": "it lies in /usr", "/toUsr": "it leads to /usr: it lies in /usr", "/toUsrLib": "it leads to /usr/lib", "/toUsr/new": "it lies in /usr",
		"/up": "it leads to /: ", "/toRun": "it leads to /run", "/dangling": "make /dangling: file exists", "/loop": "too many levels",
		"/file": "not a directory", "/file/below": "not a directory", "/outside": "/etc is not for entries", "/toRun/new": "it lies in /run",
	} {
		if at, err := MountInside(w.root, where, "tmpfs", "tmpfs", fs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", where, at, err)
		}
	}
	if count := len(allMounts(t)); count != outside {
		t.Errorf("%d mounts were made", count-outside)
	}
	for where, want := range map[string]string{"/toVar/lib/new/deep": "/var/lib/new/deep", "/var/here": "/srv", "/etc/kept": "/etc/kept"} {
		at, err := MountInside(w.root, where, "tmpfs", "tmpfs", fs)
		if err != nil || at != want || !mountapi.IsMountPoint(w.at(at)) {
			t.Errorf("%s: %q, %v", where, at, err)
			continue
		}
		defer unix.Unmount(w.at(at), unix.MNT_DETACH)
		for _, m := range allMounts(t) {
			if m.Target == w.at(at) && (!strings.Contains(m.Options, "nosuid,nodev") || !strings.Contains(m.SuperOptions, "mode=711")) {
				t.Errorf("%+v", m)
			}
		}
		if _, err := MountInside(w.root, where, "tmpfs", "tmpfs", fs); err == nil || !strings.Contains(err.Error(), "something is mounted there") {
			t.Errorf("%s again: %v", where, err)
		}
	}
}
