//go:build guest

package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// skipped is what systemd 262 prints when it finds nothing to do.
const skipped = "Skipping extension refresh because no change was found, use --always-refresh=yes to always do a refresh."

// systemd runs systemd-confext or systemd-sysext on the root. It works in a child namespace and needs
// shared mounts, as they are below a real root's systemd; ours are made as in an initramfs, private.
func (w *world) systemd(class osrelease.Class, arguments ...string) string {
	w.Helper()
	output, err := w.trySystemd(class, arguments...)
	if err != nil {
		w.Fatalf("systemd-%s %s: %v\n%s", class, strings.Join(arguments, " "), err, output)
	}
	return output
}

func (w *world) trySystemd(class osrelease.Class, arguments ...string) (string, error) {
	w.Helper()
	w.check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""))
	defer func() { w.check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")) }()
	command := exec.Command("systemd-"+string(class), append([]string{"--root=" + w.path}, arguments...)...)
	// Direct reads of a loop device over erofs fail on Linux 6.12.
	command.Env = append(os.Environ(), "SYSTEMD_LOOP_DIRECT_IO=0", "SYSTEMD_NSPAWN_LOCK=0")
	output, err := command.CombinedOutput()
	return string(output), err
}

// picture is all that a merge shows of itself.
type picture struct {
	Mounts   []string
	Metadata map[string]string // without the device number
	Origin   any
	Tree     map[string]string
}

func (w *world) picture(class osrelease.Class) map[string]picture {
	w.Helper()
	pictures := map[string]picture{}
	for _, hierarchy := range extension.Hierarchies(class) {
		p := picture{Metadata: map[string]string{}, Tree: map[string]string{}}
		for _, at := range []string{hierarchy, hierarchy + "/.systemd-" + string(class)} {
			for _, m := range w.mounts(at) {
				p.Mounts = append(p.Mounts, fmt.Sprintf("%s %s %s %s %s", at, m.FSType, m.Source, m.Root, m.Options))
			}
		}
		metadata := w.at(hierarchy + "/.systemd-" + string(class))
		err := filepath.WalkDir(w.at(hierarchy), func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Lstat(name)
			if err != nil {
				return err
			}
			text := info.Mode().String()
			if info.Mode().IsRegular() {
				content, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				switch {
				case filepath.Dir(name) == metadata && entry.Name() == "origin":
					decoder := json.NewDecoder(bytes.NewReader(content))
					decoder.UseNumber()
					if err := decoder.Decode(&p.Origin); err != nil {
						return err
					}
				case filepath.Dir(name) == metadata && entry.Name() != "dev":
					p.Metadata[entry.Name()] = string(content)
				case filepath.Dir(name) != metadata:
					text += " " + string(content)
				}
			}
			p.Tree[strings.TrimPrefix(name, w.path)] = text
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			w.Error(err)
		}
		pictures[hierarchy] = p
	}
	return pictures
}

// mergeToSkip merges, and lets systemd find nothing to do.
func (w *world) mergeToSkip(class osrelease.Class) *plan.Merge {
	w.Helper()
	m := w.merge(class)
	if reasons := rejected(m); len(reasons) != 0 {
		w.Fatal(reasons)
	}
	refresh := w.systemd(class, "refresh")
	if !strings.Contains(refresh, skipped) || strings.Contains(refresh, "erged") {
		w.Errorf("refresh after our merge:\n%s\norigin %s", refresh, m.Origin)
	}
	return m
}

// judge lets systemd look at our merge, take it away, and make its own of the same root.
func (w *world) judge(class osrelease.Class) {
	w.Helper()
	m := w.mergeToSkip(class)
	ours := w.picture(class)
	// It looks at the caller's own hierarchies for the time.
	w.check(os.MkdirAll("/opt", 0o755))
	status := w.systemd(class, "status", "--no-pager")
	for _, name := range m.Names {
		if !strings.Contains(status, name) {
			w.Errorf("status does not list %q:\n%s", name, status)
		}
	}
	unmerge := w.systemd(class, "unmerge")
	for _, o := range m.Overlays {
		if !strings.Contains(unmerge, "Unmerged '"+o.Target+"'.") {
			w.Errorf("unmerge of %s:\n%s", o.Target, unmerge)
		}
		if mounts := w.mounts(strings.TrimPrefix(o.Target, w.path)); len(mounts) != 0 {
			w.Errorf("after unmerge: %+v", mounts)
		}
		if o.Work != "" {
			w.missing(o.WorkInside)
		}
	}
	merge := w.systemd(class, "refresh")
	theirs := w.picture(class)
	for hierarchy, want := range theirs {
		got := ours[hierarchy]
		for what, pair := range map[string][2]any{
			"mounts": {got.Mounts, want.Mounts}, "metadata": {got.Metadata, want.Metadata},
			"origin": {got.Origin, want.Origin}, "tree": {got.Tree, want.Tree},
		} {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				w.Errorf("%s of %s:\n%v\nsystemd has:\n%v\n%s", what, hierarchy, pair[0], pair[1], merge)
			}
		}
	}
	w.unmerge(m)
}

func TestSystemdSkipsAfterOurMerge(t *testing.T) {
	fill := func(mode string, class osrelease.Class) func(w *world) {
		return func(w *world) {
			if class == confext {
				w.addDirectory("var/lib/confexts/dir", confextFiles("dir"))
				w.addDirectory("usr/lib/confexts/dir_2.confext", confextFiles("dir_2"))
				w.addFileSystem("var/lib/confexts/bare.raw", "erofs", confextFiles("bare"))
				w.addFileSystem("var/lib/confexts/squash.confext.raw", "squashfs", confextFiles("squash"))
				w.addImage("usr/lib/confexts/00-default.raw", image{files: confextFiles("00-default"), signed: true}.build(w.T))
			} else {
				w.addDirectory("var/lib/extensions/dir", sysextFiles("dir"))
				w.addImage("var/lib/extensions/tool.sysext.raw", image{files: sysextFiles("tool")}.build(w.T))
				w.addFileSystem("etc/extensions/bare.raw", "erofs", sysextFiles("bare"))
				linked := sysextFiles("onlyusr")
				delete(linked, "opt/onlyusr")
				w.addDirectory("data/elsewhere", linked)
				w.check(os.Symlink("../../../data/elsewhere", w.at("var/lib/extensions/onlyusr")))
			}
			w.write("opt/base", "host\n")
			switch mode {
			case "host":
				w.useHostAsUpper()
			case "auto":
				w.setMutable("auto")
				for _, hierarchy := range []string{"etc", "opt"} {
					w.check(os.MkdirAll(w.at("var/lib/extensions.mutable/"+hierarchy), 0o755))
				}
			case "yes":
				w.setMutable("yes")
				for _, hierarchy := range []string{"etc", "usr", "opt"} {
					w.check(os.MkdirAll(w.at("var/lib/extensions.mutable/"+hierarchy), 0o755))
				}
			}
		}
	}
	for _, c := range []struct {
		fsType string
		mode   string
		class  osrelease.Class
	}{
		{"ext4", "no", confext}, {"ext4", "host", confext}, {"ext4", "yes", confext}, {"ext4", "auto", sysext},
		{"tmpfs", "auto", confext}, {"erofs", "no", sysext}, {"squashfs", "no", confext},
	} {
		t.Run(fmt.Sprintf("%s %s %s", c.fsType, c.mode, c.class), func(t *testing.T) {
			w := newWorld(t, c.fsType, fill(c.mode, c.class))
			w.judge(c.class)
		})
	}
}

// Times before 1970 and noted creation times are odd, and part of the identity.
func TestSystemdSkipsOddIdentities(t *testing.T) {
	noted := func(value ...byte) func(w *world, file string) {
		return func(w *world, file string) { w.check(unix.Setxattr(file, "user.crtime_usec", value, 0)) }
	}
	modified := func(seconds, nanoseconds int64) func(w *world, file string) {
		return func(w *world, file string) {
			w.check(os.Chtimes(file, time.Time{}, time.Unix(seconds, nanoseconds)))
		}
	}
	w := newWorld(t, "ext4", func(w *world) {
		// One image under many names: what counts of them is what stands before the "_".
		w.addFileSystem("image", "erofs", confextFiles("x"))
		for name, change := range map[string]func(w *world, file string){
			"before1970":   modified(-5, 500),
			"in1970":       modified(0, 1001),
			"notedearlier": noted(1, 2, 3, 0, 0, 0, 0, 0),
			"notedlater":   noted(1, 2, 3, 0, 0, 0, 0, 0x7f),
			"notedshort":   noted(1, 2, 3),
			"notedlong":    noted(1, 2, 3, 0, 0, 0, 0, 0, 0),
			"notedzero":    noted(0, 0, 0, 0, 0, 0, 0, 0),
			"notedones":    noted(255, 255, 255, 255, 255, 255, 255, 255),
		} {
			directory, raw := "var/lib/confexts/"+name+"-dir", "var/lib/confexts/x_"+name+".raw"
			w.addDirectory(directory, confextFiles(name+"-dir"))
			w.write(raw, w.read("image"))
			change(w, w.at(directory))
			change(w, w.at(raw))
		}
	})
	w.mergeToSkip(confext)
}

// What systemd makes of a system's settings is what we make of them.
func TestSystemdReadsSettingsAlike(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"case of a word":    {"usr/lib/systemd/confext.conf": "[ConfExt]\nMutable=Auto\n"},
		"case of a boolean": {"usr/lib/systemd/confext.conf": "[ConfExt]\nMutable=NO\n"},
		"empty":             {"usr/lib/systemd/confext.conf": "[ConfExt]\nMutable=auto\nMutable=\n"},
		"local hides":       {"usr/lib/systemd/confext.conf": "[ConfExt]\nMutable=auto\n", "usr/local/lib/systemd/confext.conf": "#\n"},
		"drop-ins":          {"usr/lib/systemd/confext.conf.d/5.conf": "[ConfExt]\nMutable=auto\n", "usr/local/lib/systemd/confext.conf.d/4.conf": "[ConfExt]\nMutable=no\n"},
		"hidden drop-in":    {"usr/lib/systemd/confext.conf.d/5.conf": "[ConfExt]\nMutable=auto\n", "usr/local/lib/systemd/confext.conf.d/5.conf": "[ConfExt]\nMutable=no\n"},
		"continued line":    {"usr/lib/systemd/confext.conf": "[ConfExt]\nMutable=\\\nauto\n"},
		"another section":   {"usr/lib/systemd/confext.conf": "[SysExt]\nMutable=auto\n"},
		"quoted":            {"usr/lib/systemd/confext.conf": "[ConfExt]\nMutable=\"auto\"\n"},
		"masked":            {"usr/lib/systemd/confext.conf": "[ConfExt]\nMutable=auto\n", "usr/local/lib/systemd/confext.conf -> /dev/null": ""},
		"masked drop-in":    {"usr/lib/systemd/confext.conf.d/5.conf": "[ConfExt]\nMutable=auto\n", "usr/local/lib/systemd/confext.conf.d/5.conf -> /dev/null": ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "tmpfs", func(w *world) {
				w.addDirectory("var/lib/confexts/dir", confextFiles("dir"))
				w.check(os.MkdirAll(w.at("var/lib/extensions.mutable/etc"), 0o755))
				w.check(os.MkdirAll(w.at("dev"), 0o755))
				w.check(unix.Mknod(w.at("dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
				for name, text := range files {
					if link, target, isLink := strings.Cut(name, " -> "); isLink {
						w.check(os.MkdirAll(filepath.Dir(w.at(link)), 0o755))
						w.check(os.Symlink(target, w.at(link)))
					} else {
						w.write(name, text)
					}
				}
			})
			w.mergeToSkip(confext)
		})
	}
}

// Names that systemd 262 can find and cannot mount are ours to merge; it must still skip.
func TestSystemdSkipsOddNames(t *testing.T) {
	w := newWorld(t, "ext4", func(w *world) {
		for _, name := range []string{`a,b:c\d`, "with space", "ünicode", `"q"`, ".hidden", "<&>"} {
			w.addDirectory("var/lib/confexts/"+name, confextFiles(name))
		}
	})
	w.mergeToSkip(confext)
}

// Without extensions, and in the modes that take writes.
func TestSystemdSkipsAfterAMergeOfNothing(t *testing.T) {
	for name, fill := range map[string]func(w *world){
		"host as upper":      (*world).useHostAsUpper,
		"auto, no directory": func(w *world) { w.setMutable("auto") },
		"auto": func(w *world) {
			w.setMutable("auto")
			w.check(os.MkdirAll(w.at("var/lib/extensions.mutable/etc"), 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ext4", fill)
			w.mergeToSkip(confext)
		})
	}
}

// In a mode that takes writes systemd 262 mounts every hierarchy, fails at one that has nothing to show,
// and merges nothing then. Ours leaves it alone, and systemd agrees with what it finds.
func TestSystemdSkipsAfterWhatItCannotMerge(t *testing.T) {
	w := newWorld(t, "ext4", func(w *world) {
		w.setMutable("auto")
		files := sysextFiles("a")
		delete(files, "opt/a")
		w.addDirectory("var/lib/extensions/a", files)
	})
	if output, err := w.trySystemd(sysext, "refresh"); err == nil || len(w.mounts("usr")) != 0 {
		t.Errorf("systemd can do it now; so should we:\n%s", output)
	}
	m := w.mergeToSkip(sysext)
	if len(m.Overlays) != 1 || w.read("usr/share/a") != "a\n" || len(w.mounts("opt")) != 0 {
		t.Errorf("%+v", m.Overlays)
	}
}

// Of two links to one directory the kernel takes only one as a layer. systemd 262 fails as a whole.
func TestMergeOfTwoLinksToOneDirectory(t *testing.T) {
	files := confextFiles("a")
	files["etc/extension-release.d/extension-release.b"] = "ID=_any\n"
	w := newWorld(t, "tmpfs", func(w *world) {
		w.addDirectory("data/d", files)
		w.check(os.Symlink("/data/d", w.at("var/lib/confexts/a")))
		w.check(os.Symlink("/data/d", w.at("usr/lib/confexts/b")))
	})
	if output, err := w.trySystemd(confext, "refresh"); err == nil {
		t.Errorf("systemd can do it now; so should we:\n%s", output)
	}
	m := w.merge(confext)
	if got := rejected(m)["a"]; got != `it is the same directory as "b"` || w.read("etc/a") != "a\n" {
		t.Errorf("%q", rejected(m))
	}
}

// A confext on /usr has the identity that it has on the merged /usr: sysexts come first.
func TestSystemdSkipsConfextsOnAMergedUsr(t *testing.T) {
	w := newWorld(t, "ext4", func(w *world) {
		w.addDirectory("var/lib/extensions/sx", sysextFiles("sx"))
		w.addDirectory("usr/lib/confexts/dir", confextFiles("dir"))
		w.addFileSystem("usr/lib/confexts/bare.raw", "erofs", confextFiles("bare"))
		// One that is on /usr only after the sysext was merged.
		w.addDirectory("var/lib/extensions/sx/usr/lib/confexts/inside", confextFiles("inside"))
	})
	w.mergeToSkip(sysext)
	m := w.mergeToSkip(confext)
	if !slices.Equal(m.Names, []string{"bare", "dir", "inside"}) {
		t.Errorf("%q", m.Names)
	}
	if refresh := w.systemd(sysext, "refresh"); !strings.Contains(refresh, skipped) {
		t.Error(refresh)
	}
}
