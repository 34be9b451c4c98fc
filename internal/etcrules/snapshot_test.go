//go:build hostroot || guest

package etcrules

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// snapshot describes all below a directory: types, modes, owners, devices, numbers of names, content, targets, all extended attributes. Times are not in it: see times.
func snapshot(t testing.TB, top string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(top, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		text := fmt.Sprintf("%o %d:%d rdev %d", st.Mode, st.Uid, st.Gid, st.Rdev)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" names %d size %d %x", st.Nlink, len(content), sha256.Sum256(content))
		case unix.S_IFLNK:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" -> %q", target)
		}
		list := make([]byte, 64<<10)
		n, err := unix.Llistxattr(p, list)
		if err != nil {
			return err
		}
		names := strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00")
		slices.Sort(names)
		for _, name := range names {
			if name == "" {
				continue
			}
			value := make([]byte, 64<<10)
			n, err := unix.Lgetxattr(p, name, value)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %s=%x", name, value[:n])
		}
		all[strings.TrimPrefix(p, top)] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// times are the modification times of all that is no directory.
func times(t testing.TB, top string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for p := range snapshot(t, top) {
		var st unix.Stat_t
		if err := unix.Lstat(top+p, &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			all[p] = fmt.Sprint(st.Mtim.Nano())
		}
	}
	return all
}

// difference tells in what two descriptions differ, "" if in nothing.
func difference(want, got map[string]string) string {
	var lines []string
	paths := maps.Clone(want)
	maps.Copy(paths, got)
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if want[p] != got[p] {
			lines = append(lines, fmt.Sprintf("%q\n   want %.300s\n   got  %.300s", p, want[p], got[p]))
		}
	}
	return strings.Join(lines, "\n")
}

// runRules runs the rules on a root as the boot does.
func runRules(t testing.TB, top string, settings plan.EtcRules, dryRun bool) *Plan {
	t.Helper()
	root, err := rootdir.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, err := Open(root, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.Run(dryRun)
}

// planText is a plan as text.
func planText(p *Plan) string {
	var b strings.Builder
	for _, a := range p.Actions {
		b.WriteString(a.String() + "\n")
	}
	for _, note := range p.Notes {
		b.WriteString("note: " + note + "\n")
	}
	return b.String()
}
