//go:build guest

package etcrules

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
)

// mountEtc puts an overlay with the options of a merge over the /etc of a root, and returns how to take it away.
func mountEtc(t *testing.T, top, lower string) (unmount func()) {
	t.Helper()
	if err := os.MkdirAll(top+"/.work", 0o700); err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/etc,workdir=%s/.work,redirect_dir=on,metacopy=off,index=off,xino=off", lower, top, top)
	if err := unix.Mount("overlay", top+"/etc", "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Unmount(top+"/etc", 0); err != nil {
			t.Fatal(err)
		}
	}
}

// edit does in a merged /etc what users do, some of it to no effect in the end.
func (g generator) edit(t *testing.T, etc string) {
	t.Helper()
	var all []string
	for p := range snapshot(t, etc) {
		if p != "" {
			all = append(all, etc+p)
		}
	}
	slices.Sort(all)
	for range 12 {
		if len(all) == 0 {
			return
		}
		p, q := all[g.IntN(len(all))], all[g.IntN(len(all))]
		info, err := os.Lstat(p)
		if err != nil {
			continue
		}
		switch g.IntN(9) {
		case 0:
			_ = os.RemoveAll(p)
		case 1: // deleted and made again
			_ = os.RemoveAll(p)
			_ = os.MkdirAll(p, 0o755)
			_ = os.WriteFile(p+"/hosts", []byte("one\n"), 0o644)
		case 2: // touched only: copied up
			at := unix.NsecToTimespec(5e15)
			_ = unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
		case 3:
			if info.Mode().IsRegular() {
				_ = os.WriteFile(p, []byte("changed"), 0o644)
			}
		case 4:
			if info.Mode()&os.ModeSymlink == 0 {
				_ = unix.Chmod(p, 0o700)
			}
		case 5, 6: // renamed, perhaps to where a default was
			if !strings.HasPrefix(q, p+"/") && !strings.HasPrefix(p, q+"/") && p != q {
				if g.chance(50) {
					_ = os.RemoveAll(q)
				}
				_ = os.Rename(p, q)
			}
		case 7:
			_ = os.Rename(p, p+".bak")
		case 8: // replaced by a copy, as editors do
			if text, err := os.ReadFile(p); err == nil && info.Mode().IsRegular() {
				_ = os.WriteFile(p+".new", text, 0o600)
				_ = unix.Chmod(p+".new", uint32(info.Mode().Perm()))
				_ = os.Rename(p+".new", p)
			}
		}
	}
}

// view is a snapshot without what differs between a file of the upper and the lower directory on purpose: labels, notes, the number of names.
func view(t *testing.T, etc string) map[string]string {
	all := snapshot(t, etc)
	for p, text := range all {
		var words []string
		fields := strings.Fields(text)
		for i, word := range fields {
			if strings.HasPrefix(word, "security.") || strings.HasPrefix(word, "user.") || strings.HasPrefix(word, "trusted.") || word == "names" || (i > 0 && fields[i-1] == "names") {
				continue
			}
			words = append(words, word)
		}
		all[p] = strings.Join(words, " ")
	}
	return all
}

// TestTheViewStaysTheSame edits real overlays, runs R7 on the bare upper directory, and wants the same to be seen afterwards.
func TestTheViewStaysTheSame(t *testing.T) {
	removed := 0
	for seed := range 60 {
		g := newGenerator(uint64(seed))
		dir := t.TempDir()
		if err := unix.Mount("test", dir, "tmpfs", 0, "mode=0755"); err != nil {
			t.Fatal(err)
		}
		shipped := g.shipped()
		for _, p := range slices.Sorted(maps.Keys(shipped)) { // tmpfs has user.* only since 6.6
			delete(shipped[p].attributes, "user.note")
		}
		shipped.add("/etc", entry{kind: 'd'})
		lower := dir + "/usr/share/ref"
		for _, d := range []string{lower, dir + "/etc"} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		shipped.build(t, lower)
		settings := plan.EtcRules{Reference: "/usr/share/ref/etc"}
		for round := range 3 {
			unmount := mountEtc(t, dir, lower+"/etc")
			g.edit(t, dir+"/etc")
			want := view(t, dir+"/etc")
			unmount()
			done := runRules(t, dir, settings, false)
			removed += done.Count("R7", Remove)
			unmount = mountEtc(t, dir, lower+"/etc")
			if d := difference(want, view(t, dir+"/etc")); d != "" {
				t.Errorf("seed %d, round %d: another view\n%s\nplan:\n%s", seed, round, d, planText(done))
			}
			unmount()
		}
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	if removed < 50 {
		t.Errorf("only %d entries were removed", removed)
	}
	t.Logf("removed %d entries", removed)
}

// TestWhiteoutsOfARealOverlay: E8, E9 and E11 with what the kernel makes of rm.
func TestWhiteoutsOfARealOverlay(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("test", dir, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	for name, text := range map[string]string{
		"ref/etc/hosts": "h", "ref/etc/resolv.conf": "r", "ref/etc/passwd": "p", "ref/etc/d/x": "x", "ref/list": "/etc/resolv.conf\n/etc/d/none\n", "base/passwd": "root:x:0:0::/:/bin/sh\n",
	} {
		file := filepath.Join(dir, "usr/share", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	unmount := mountEtc(t, dir, dir+"/usr/share/ref/etc")
	for _, name := range []string{"hosts", "resolv.conf", "passwd", "d"} {
		if err := os.RemoveAll(dir + "/etc/" + name); err != nil {
			t.Fatal(err)
		}
	}
	unmount()
	runRules(t, dir, plan.EtcRules{Reference: "/usr/share/ref/etc", NoWhiteouts: "/usr/share/ref/list", Accounts: "/usr/share/base", Users: []string{"root"}}, false)
	unmount = mountEtc(t, dir, dir+"/usr/share/ref/etc")
	defer unmount()
	for name, want := range map[string]string{"hosts": "", "resolv.conf": "r", "passwd": "root:x:0:0::/:/bin/sh\n", "d/x": ""} {
		if text, _ := os.ReadFile(dir + "/etc/" + name); string(text) != want {
			t.Errorf("%s: %q, want %q", name, text, want)
		}
	}
}
