//go:build guest

package apply

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
)

// Directories are read before they have a place in the workspace, also through links, and without the mounts below them.
func TestDirectoriesWaitForTheirPlace(t *testing.T) {
	w := newWorld(t, "tmpfs", func(w *world) {
		files := confextFiles("plain")
		files["etc/hidden/own"] = "plain\n"
		w.addDirectory("var/lib/confexts/plain", files)
		linked := map[string]string{}
		for name, text := range confextFiles("linked") {
			linked[strings.Replace(name, "etc/", "other/", 1)] = text
		}
		w.addDirectory("var/lib/confexts/linked", linked)
		w.check(os.Symlink("/other", w.at("var/lib/confexts/linked/etc")))
	})
	hidden := w.at("var/lib/confexts/plain/etc/hidden")
	w.check(unix.Mount("tmpfs", hidden, "tmpfs", 0, ""))
	defer unix.Unmount(hidden, unix.MNT_DETACH)
	ws := w.openWorkspace()
	images, err := extension.Discover(w.root, extension.Search{Class: confext})
	w.check(err)
	all := ws.Examine(images, []string{"/etc"})
	if len(all) != 2 || len(ws.waiting) != 2 {
		t.Fatalf("%d images, %d wait", len(all), len(ws.waiting))
	}
	for _, c := range all {
		want := map[string]string{"plain": "/etc", "linked": "/other"}[c.Name]
		if c.Failure != "" || c.Release == nil || !strings.HasSuffix(c.Content["/etc"], want) || !strings.HasPrefix(c.Content["/etc"], ws.Path+"/image") {
			t.Errorf("%s: %q, %q, %v", c.Name, c.Failure, c.Content["/etc"], c.Release)
		}
		if release := "extension-release.d/extension-release." + c.Name; !slices.Contains(c.Files["/etc"], release) {
			t.Errorf("%s: %q without %s", c.Name, c.Files["/etc"], release)
		}
	}
	w.check(ws.space.Do(func() error {
		entries, err := os.ReadDir(ws.Path)
		if len(entries) > 0 {
			t.Errorf("%v lie in the workspace", entries)
		}
		return err
	}))
	// Whoever needs them where the plan says finds them there.
	w.check(ws.inside(func() error {
		for _, c := range all {
			if text, err := os.ReadFile(c.Content["/etc"] + "/" + c.Name); err != nil || string(text) != c.Name+"\n" {
				t.Errorf("%s: %q, %v", c.Name, text, err)
			}
		}
		if text, err := os.ReadFile(ws.Path + "/image2/etc/hidden/own"); err != nil || string(text) != "plain\n" {
			t.Errorf("below a mount: %q, %v", text, err)
		}
		return nil
	}))
	if len(ws.waiting) != 0 {
		t.Errorf("%d wait", len(ws.waiting))
	}
	// What is known already is read where it lies.
	for _, c := range ws.Examine(images, []string{"/etc"}) {
		if c.Failure != "" || c.Release == nil || len(c.Files["/etc"]) < 2 {
			t.Errorf("again: %+v", c)
		}
	}
	w.check(ws.Close())
	w.merge(confext)
	for _, name := range []string{"plain", "linked"} {
		if got := w.read("etc/" + name); got != name+"\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
