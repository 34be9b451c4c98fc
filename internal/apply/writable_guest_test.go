//go:build guest

package apply

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
)

// What an earlier boot left in the work directory, or anybody put there, does not make the merge
// read-only.
func TestMergeOverAStaleWorkDirectory(t *testing.T) {
	for name, fill := range map[string]func(w *world, work string){
		"empty":          func(*world, string) {},
		"the kernel's":   func(w *world, work string) { w.check(os.MkdirAll(work+"/work/#12", 0o755)) },
		"a full one":     func(w *world, work string) { w.check(os.WriteFile(work+"/file", []byte("x"), 0o600)) },
		"index":          func(w *world, work string) { w.check(os.MkdirAll(work+"/index/00", 0o755)) },
		"deep":           func(w *world, work string) { w.check(os.MkdirAll(work+"/work/a/b/c/d/e", 0o755)) },
		"work is a file": func(w *world, work string) { w.check(os.WriteFile(work+"/work", nil, 0o600)) },
		"work is a link": func(w *world, work string) { w.check(os.Symlink(w.at("precious"), work+"/work")) },
		"a link below": func(w *world, work string) {
			w.check(os.MkdirAll(work+"/work", 0o755))
			w.check(os.Symlink(w.at("precious"), work+"/work/x"))
		},
		"open to all":         func(w *world, work string) { w.check(os.Chmod(work, 0o777)) },
		"an incompatible one": func(w *world, work string) { w.check(os.MkdirAll(work+"/work/incompat/volatile", 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ext4", func(w *world) {
				w.useHostAsUpper()
				w.addDirectory("var/lib/confexts/a", confextFiles("a"))
				w.write("precious/file", "precious\n")
				w.check(os.Mkdir(w.at(".systemd-etc-workdir"), 0o700))
				fill(w, w.at(".systemd-etc-workdir"))
			})
			w.merge(confext)
			if err := os.WriteFile(w.at("etc/new"), []byte("x"), 0o600); err != nil {
				t.Error(err)
			}
			w.checkMount("etc", "confext", "rw,nosuid,nodev,noexec,noatime")
			if got := w.read("precious/file"); got != "precious\n" {
				t.Errorf("%q", got)
			}
			// Renaming a directory of a lower layer needs the work directory, too.
			w.check(os.Rename(w.at("etc/extension-release.d"), w.at("etc/moved")))
		})
	}
}

// A link where the work directory goes is refused, and nothing behind it is touched.
func TestMergeRefusesALinkAsWorkDirectory(t *testing.T) {
	for name, plant := range map[string]func(w *world) error{
		"link":          func(w *world) error { return os.Symlink("/precious", w.at(".systemd-etc-workdir")) },
		"link inside":   func(w *world) error { return os.Symlink("precious", w.at(".systemd-etc-workdir")) },
		"dangling link": func(w *world) error { return os.Symlink("gone", w.at(".systemd-etc-workdir")) },
		"file":          func(w *world) error { return os.WriteFile(w.at(".systemd-etc-workdir"), []byte("x"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ext4", func(w *world) {
				w.useHostAsUpper()
				w.addDirectory("var/lib/confexts/a", confextFiles("a"))
				w.write("precious/file", "precious\n")
				w.check(plant(w))
			})
			ws := w.openWorkspace()
			m, err := plan.PlanMerge(w.observe(ws, confext))
			w.check(err)
			err = ws.Merge(m)
			if err == nil || !strings.Contains(err.Error(), ".systemd-etc-workdir") || !strings.Contains(err.Error(), "merge confexts into /etc: ") {
				t.Errorf("%v", err)
			}
			w.check(ws.Close())
			if len(w.mounts("etc")) != 0 {
				t.Error("something was mounted")
			}
			w.missing("gone")
			entries, err := os.ReadDir(w.at("precious"))
			if err != nil || len(entries) != 1 || w.read("precious/file") != "precious\n" {
				t.Errorf("%v, %v", entries, err)
			}
		})
	}
}

// If one of two hierarchies cannot be mounted, neither is.
func TestMergeIsAllOrNothing(t *testing.T) {
	w := newWorld(t, "ext4", func(w *world) {
		w.setMutable("auto")
		w.addDirectory("var/lib/extensions/a", sysextFiles("a"))
		w.check(os.MkdirAll(w.at("var/lib/extensions.mutable/opt"), 0o755))
		w.check(os.Symlink("x", w.at("var/lib/extensions.mutable/.systemd-opt-workdir")))
	})
	ws := w.openWorkspace()
	m, err := plan.PlanMerge(w.observe(ws, sysext))
	w.check(err)
	if len(m.Overlays) != 2 {
		t.Fatalf("%+v", m.Overlays)
	}
	if err := ws.Merge(m); err == nil {
		t.Error("merged")
	}
	w.check(ws.Close())
	if len(w.mounts("usr"))+len(w.mounts("opt")) != 0 {
		t.Error("something was mounted")
	}
}

func TestPreview(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(w *world)
		want map[string]string // path -> content, "-" for missing
	}{
		"read-only": {func(w *world) { w.addDirectory("var/lib/confexts/a", confextFiles("a")) },
			map[string]string{"etc/a": "a\n", "etc/both": "a\n", "etc/base": "host\n"}},
		"the host on top": {func(w *world) { w.useHostAsUpper(); w.addDirectory("var/lib/confexts/a", confextFiles("a")) },
			map[string]string{"etc/a": "a\n", "etc/both": "host\n", "etc/base": "host\n"}},
		"an upper directory": {func(w *world) {
			w.setMutable("auto")
			w.write("var/lib/extensions.mutable/etc/upper", "upper\n")
			w.addDirectory("var/lib/confexts/a", confextFiles("a"))
		}, map[string]string{"etc/a": "a\n", "etc/both": "a\n", "etc/upper": "upper\n"}},
		"only an upper directory": {func(w *world) {
			w.setMutable("auto")
			w.write("var/lib/extensions.mutable/etc/upper", "upper\n")
			w.check(os.RemoveAll(w.at("etc")))
			w.check(os.Mkdir(w.at("etc"), 0o755))
		}, map[string]string{"etc/upper": "upper\n", "etc/base": "-"}},
		"an empty host": {func(w *world) {
			w.check(os.RemoveAll(w.at("etc")))
			w.check(os.Mkdir(w.at("etc"), 0o755))
			w.addDirectory("var/lib/confexts/a", confextFiles("a"))
		}, map[string]string{"etc/a": "a\n", "etc/base": "-"}},
		"no host": {func(w *world) {
			w.check(os.RemoveAll(w.at("etc")))
			w.addDirectory("var/lib/confexts/a", confextFiles("a"))
		}, map[string]string{"etc/a": "a\n", "etc/base": "-"}},
		"only the host": {(*world).useHostAsUpper, map[string]string{"etc/base": "host\n", "etc/a": "-"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ext4", c.fill)
			ws := w.openWorkspace()
			m, err := plan.PlanMerge(w.observe(ws, confext))
			w.check(err)
			if len(m.Overlays) != 1 {
				t.Fatalf("%+v", m)
			}
			remove, err := ws.Preview(m.Overlays[0], confext)
			w.check(err)
			for file, want := range c.want {
				if want == "-" {
					w.missing(file)
				} else if got := w.read(file); got != want {
					t.Errorf("%s: %q, want %q", file, got, want)
				}
			}
			w.missing("etc/.systemd-confext")
			if len(w.mounts("etc")) != 0 && unix.Access(w.at("etc"), unix.W_OK) != unix.EROFS {
				t.Error("the preview can be written to")
			}
			w.check(remove())
			if len(w.mounts("etc")) != 0 {
				t.Error("the preview is still there")
			}
			// What follows in a boot.
			w.check(ws.Merge(m))
			w.unmergeLater(m)
			w.check(ws.Close())
			for file, want := range c.want {
				if want != "-" && w.read(file) != want {
					t.Errorf("after the merge: %s", file)
				}
			}
			w.noHelperMounts()
		})
	}
}
