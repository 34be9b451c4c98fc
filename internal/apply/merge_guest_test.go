//go:build guest

package apply

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

const confext, sysext = osrelease.ClassConfext, osrelease.ClassSysext

// checkMetadata compares all files of a metadata directory, and how they may be used. "?" stands for
// any text.
func (w *world) checkMetadata(directory string, want map[string]string) {
	w.Helper()
	entries, err := os.ReadDir(w.at(directory))
	w.check(err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	for name, text := range want {
		if !slices.Contains(names, name) {
			w.Errorf("%s has no file %s", directory, name)
			continue
		}
		var st unix.Stat_t
		w.check(unix.Lstat(w.at(directory+"/"+name), &st))
		if st.Mode != unix.S_IFREG|0o644 || st.Uid != 0 || st.Gid != 0 {
			w.Errorf("%s: mode %o, owner %d:%d", name, st.Mode, st.Uid, st.Gid)
		}
		if got := w.read(directory + "/" + name); text != "?" && got != text {
			w.Errorf("%s: %q, want %q", name, got, text)
		}
	}
	if len(names) != len(want) {
		w.Errorf("%s has %q", directory, names)
	}
	var merged, metadata unix.Stat_t
	w.check(unix.Lstat(w.at(directory+"/.."), &merged))
	w.check(unix.Lstat(w.at(directory), &metadata))
	if metadata.Mode != unix.S_IFDIR|0o755 {
		w.Errorf("%s: mode %o", directory, metadata.Mode)
	}
	if got, want := w.read(directory+"/dev"), fmt.Sprintf("%d:%d\n", unix.Major(merged.Dev), unix.Minor(merged.Dev)); got != want {
		w.Errorf("dev: %q, want %q", got, want)
	}
}

// checkMount compares the one overlay at a path.
func (w *world) checkMount(name, source, options string) {
	w.Helper()
	mounts := w.mounts(name)
	if len(mounts) != 1 {
		w.Fatalf("%d mounts at %s: %+v", len(mounts), name, mounts)
	}
	m := mounts[0]
	if m.FSType != "overlay" || m.Source != source || m.Options != options || m.Root != "/" {
		w.Errorf("%s: %+v, want source %s and %s", name, m, source, options)
	}
}

func (w *world) noHelperMounts() {
	w.Helper()
	for _, m := range allMounts(w.T) {
		if m.Source == "preroot" || strings.Contains(m.Target, "/workspace") {
			w.Errorf("helper mount left: %+v", m)
		}
	}
	w.missing("run/preroot/workspace")
}

func TestMergeReadOnly(t *testing.T) {
	const ddi = "usr/lib/confexts/00-default.raw"
	var b built
	for _, fsType := range []string{"tmpfs", "ext4", "erofs", "squashfs"} {
		t.Run(fsType, func(t *testing.T) {
			w := newWorld(t, fsType, func(w *world) {
				w.addDirectory("var/lib/confexts/dir", confextFiles("dir"))
				w.addFileSystem("var/lib/confexts/bare.raw", "erofs", confextFiles("bare"))
				w.addFileSystem("var/lib/confexts/squash.confext.raw", "squashfs", confextFiles("squash"))
				b = image{files: confextFiles("00-default"), signed: true}.build(w.T)
				w.addImage(ddi, b)
				w.check(os.Chmod(w.at("etc"), 0o751))
			})
			before := imageDevices(t)
			m := w.merge(confext)
			if reasons := rejected(m); len(reasons) != 0 {
				t.Error(reasons)
			}
			for _, name := range []string{"dir", "bare", "squash", "00-default"} {
				if got := w.read("etc/" + name); got != name+"\n" {
					t.Errorf("%s: %q", name, got)
				}
			}
			if got := w.read("etc/both"); got != "00-default\n" {
				t.Errorf("both: %q", got)
			}
			if got := w.read("etc/base"); got != "host\n" {
				t.Errorf("base: %q", got)
			}
			want := map[string]string{"confexts": "bare\ndir\nsquash\n00-default\n", "origin": string(m.Origin), "dev": "?"}
			if fsType != "tmpfs" {
				var st unix.Stat_t
				w.check(unix.Stat(w.path, &st))
				want["backing"] = fmt.Sprintf("%d:%d\n", unix.Major(st.Dev), unix.Minor(st.Dev))
			}
			w.checkMetadata("etc/.systemd-confext", want)
			if !strings.Contains(w.read("etc/.systemd-confext/origin"), b.Hash()) {
				t.Errorf("origin %s", m.Origin)
			}
			w.checkMount("etc", "confext", "ro,nosuid,nodev,noexec,relatime")
			var st unix.Stat_t
			w.check(unix.Stat(w.at("etc"), &st))
			if st.Mode != unix.S_IFDIR|0o751 {
				t.Errorf("mode %o", st.Mode)
			}
			if err := os.WriteFile(w.at("etc/new"), nil, 0o600); err == nil {
				t.Error("a read-only merge took a file")
			}
			w.noHelperMounts()

			// Everything that was opened goes with the overlay.
			w.unmerge(m)
			if got := w.read("etc/both"); got != "host\n" {
				t.Errorf("both: %q", got)
			}
			noNewDevices(t, before)
		})
	}
}

// noNewDevices checks that no loop or mapped device is there that was not before.
func noNewDevices(t *testing.T, before []string) {
	t.Helper()
	var left []string
	if !eventually(func() bool {
		left = slices.DeleteFunc(imageDevices(t), func(name string) bool { return slices.Contains(before, name) })
		return len(left) == 0
	}) {
		t.Errorf("devices left: %q", left)
	}
}

func TestMergeWritable(t *testing.T) {
	for name, c := range map[string]struct {
		fsType   string
		prepare  func(w *world)
		upper    string
		workDir  string
		hostIsOn bool // the host directory is a layer, so there is a file "backing"
	}{
		"the host itself": {"ext4", (*world).useHostAsUpper, "etc", ".systemd-etc-workdir", false},
		"a directory": {"ext4", func(w *world) {
			w.setMutable("auto")
			w.check(os.MkdirAll(w.at("var/lib/extensions.mutable/etc"), 0o755))
		}, "var/lib/extensions.mutable/etc", "var/lib/extensions.mutable/.systemd-etc-workdir", true},
		"a link to odd characters": {"ext4", func(w *world) {
			w.setMutable("yes")
			w.check(os.MkdirAll(w.at(`data/a,b:c\d "é"`), 0o755))
			w.check(os.MkdirAll(w.at("var/lib/extensions.mutable"), 0o755))
			w.check(os.Symlink(`../../../data/a,b:c\d "é"`, w.at("var/lib/extensions.mutable/etc")))
		}, `data/a,b:c\d "é"`, "data/.systemd-etc-workdir", true},
		"on tmpfs": {"tmpfs", (*world).useHostAsUpper, "etc", ".systemd-etc-workdir", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.fsType, func(w *world) {
				w.addDirectory("var/lib/confexts/a", confextFiles("a"))
				c.prepare(w)
			})
			upper := &world{T: t, path: w.path}
			m := w.merge(confext)
			want := map[string]string{"confexts": "a\n", "origin": string(m.Origin), "dev": "?", "work_dir": c.workDir + "\n"}
			if c.hostIsOn {
				want["backing"] = "?"
			}
			w.checkMetadata("etc/.systemd-confext", want)
			w.checkMount("etc", "confext", "rw,nosuid,nodev,noexec,noatime")
			mounts := w.mounts("etc/.systemd-confext")
			if len(mounts) != 1 || mounts[0].Root != "/.systemd-confext" || mounts[0].Options != "ro,nosuid,nodev,noexec,noatime" {
				t.Errorf("%+v", mounts)
			}
			for _, change := range []error{
				os.WriteFile(w.at("etc/.systemd-confext/origin"), nil, 0o644), os.Remove(w.at("etc/.systemd-confext/dev")),
				os.Chmod(w.at("etc/.systemd-confext"), 0o700), os.Mkdir(w.at("etc/.systemd-confext/x"), 0o755),
			} {
				if change == nil {
					t.Error("the metadata can be changed")
				}
			}
			if got := w.read("etc/both"); got != map[bool]string{false: "host\n", true: "a\n"}[c.hostIsOn] {
				t.Errorf("both: %q", got)
			}
			w.write("etc/new", "written\n")
			w.check(os.Remove(w.at("etc/a")))
			w.check(os.Rename(w.at("etc/base"), w.at("etc/renamed")))
			w.noHelperMounts()

			w.unmerge(m)
			if got := upper.read(c.upper + "/new"); got != "written\n" {
				t.Errorf("new: %q", got)
			}
			var st unix.Stat_t
			w.check(unix.Lstat(upper.at(c.upper+"/a"), &st))
			if st.Mode&unix.S_IFMT != unix.S_IFCHR {
				t.Errorf("removing a layer's file left mode %o", st.Mode)
			}
			upper.missing(c.upper + "/.systemd-confext")

			// The next boot merges over the same directories.
			w.merge(confext)
			w.missing("etc/a")
			if got := w.read("etc/new") + w.read("etc/renamed"); got != "written\nhost\n" {
				t.Errorf("after the second merge: %q", got)
			}
			w.write("etc/again", "x")
		})
	}
}

func TestMergeSysexts(t *testing.T) {
	w := newWorld(t, "ext4", func(w *world) {
		w.addDirectory("var/lib/extensions/dir", sysextFiles("dir"))
		files := sysextFiles("tool")
		delete(files, "opt/tool")
		w.addImage("var/lib/extensions/tool.raw", image{files: files}.build(w.T))
		onlyUsr := map[string]string{}
		for name, text := range sysextFiles("partition") {
			if below, ok := strings.CutPrefix(name, "usr/"); ok {
				onlyUsr[below] = text
			}
		}
		w.addImage("var/lib/extensions/partition.sysext.raw", image{files: onlyUsr, usr: true}.build(w.T))
		// Where the hierarchy would have to be made: inside the root, and not in the one we run in.
		w.check(os.Remove(w.at("opt")))
		w.check(os.Symlink("/var/opt", w.at("opt")))
	})
	if err := os.MkdirAll("/var/opt", 0o755); err != nil {
		t.Fatal(err)
	}
	m := w.merge(sysext)
	if reasons := rejected(m); len(reasons) != 0 {
		t.Error(reasons)
	}
	w.checkMount("usr", "sysext", "ro,nodev,relatime")
	w.checkMount("var/opt", "sysext", "ro,nodev,relatime")
	for name, want := range map[string]string{
		"usr/share/dir": "dir\n", "usr/share/tool": "tool\n", "usr/share/partition": "partition\n", "usr/base": "host\n", "var/opt/dir": "dir\n",
	} {
		if got := w.read(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	w.missing("var/opt/tool")
	common := map[string]string{"extensions": "dir\npartition\ntool\n", "origin": string(m.Origin), "dev": "?"}
	w.checkMetadata("var/opt/.systemd-sysext", common)
	common["backing"] = "?"
	w.checkMetadata("usr/.systemd-sysext", common)
	if entries, err := os.ReadDir("/var/opt"); err != nil || len(entries) != 0 {
		t.Errorf("outside of the root: %v, %v", entries, err)
	}
}

func TestMergeOddNames(t *testing.T) {
	names := []string{`a,b:c\d`, "with space", `"quoted"`, "ünicode", "=equals", "lowerdir+=x", "tab is not allowed"[:3], ".hidden"}
	w := newWorld(t, "ext4", func(w *world) {
		for i, name := range names {
			switch i % 3 {
			case 0:
				w.addDirectory("var/lib/confexts/"+name, confextFiles(name))
			case 1:
				w.addFileSystem("var/lib/confexts/"+name+".raw", "erofs", confextFiles(name))
			default:
				w.addImage("var/lib/confexts/"+name+".confext.raw", image{files: confextFiles(name)}.build(w.T))
			}
		}
	})
	m := w.merge(confext)
	if reasons := rejected(m); len(reasons) != 0 {
		t.Error(reasons)
	}
	for _, name := range names {
		if got := w.read("etc/" + name); got != name+"\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	w.checkMetadata("etc/.systemd-confext", map[string]string{
		"confexts": strings.Join(m.Names, "\n") + "\n", "origin": string(m.Origin), "dev": "?", "backing": "?",
	})
}

func TestMergeOfNothing(t *testing.T) {
	w := newWorld(t, "tmpfs", nil)
	if m := w.merge(confext); len(m.Overlays) != 0 || len(w.mounts("etc")) != 0 {
		t.Errorf("%+v", m)
	}
	w.missing("etc/.systemd-confext")
	w.noHelperMounts()
}

// In the modes that take writes there is an overlay without any extension, too.
func TestMergeOfNothingWritable(t *testing.T) {
	w := newWorld(t, "ext4", (*world).useHostAsUpper)
	m := w.merge(confext)
	w.checkMetadata("etc/.systemd-confext", map[string]string{
		"confexts": "", "origin": string(m.Origin), "dev": "?", "work_dir": ".systemd-etc-workdir\n",
	})
	w.write("etc/new", "x")
}

// Ninety layers with long names are more than a mount option string can hold.
func TestMergeManyImages(t *testing.T) {
	const count = 90
	name := func(i int) string { return fmt.Sprintf("an-extension-with-a-long-name-%02d", i) }
	w := newWorld(t, "tmpfs", func(w *world) {
		for i := range count {
			w.addDirectory("var/lib/confexts/"+name(i), confextFiles(name(i)))
		}
	})
	m := w.merge(confext)
	if len(m.Names) != count || w.read("etc/both") != name(count-1)+"\n" || w.read("etc/"+name(0)) != name(0)+"\n" {
		t.Errorf("%q", m.Names)
	}
}

// On the first boot of a disk that has nothing but /usr.
func TestMergeIntoAnEmptyRoot(t *testing.T) {
	w := newWorld(t, "tmpfs", func(w *world) {
		w.addDirectory("usr/lib/confexts/00-default", confextFiles("00-default"))
		w.check(os.RemoveAll(w.at("etc")))
		w.check(os.RemoveAll(w.at("var")))
	})
	m := w.merge(confext)
	w.checkMount("etc", "confext", "ro,nosuid,nodev,noexec,relatime")
	w.checkMetadata("etc/.systemd-confext", map[string]string{"confexts": "00-default\n", "origin": string(m.Origin), "dev": "?"})
	if got := w.read("etc/both"); got != "00-default\n" {
		t.Errorf("%q", got)
	}
}

// ConditionNeedsUpdate= compares the time of /usr: a sysext that is merged before systemd starts must not make it look new.
func TestMergeKeepsTheTimeOfUsr(t *testing.T) {
	w := newWorld(t, "tmpfs", func(w *world) { w.addDirectory("var/lib/extensions/sx", sysextFiles("sx")) })
	for old, keep := range map[time.Time]bool{time.Date(2024, 1, 2, 3, 4, 5, 678999, time.UTC): true, time.Unix(0, 0): true, time.Unix(7, 0): false} {
		w.check(os.Chtimes(w.at("usr"), old, old))
		ws := w.openWorkspace()
		input := w.observe(ws, sysext)
		input.KeepTimes = keep
		m, err := plan.PlanMerge(input)
		w.check(err)
		w.check(ws.Merge(m))
		info, err := os.Stat(w.at("usr"))
		w.check(err)
		if info.ModTime().Equal(old) != keep {
			t.Errorf("keep %v: /usr is of %v", keep, info.ModTime())
		}
		w.unmerge(m)
		w.check(ws.Close())
	}
}
