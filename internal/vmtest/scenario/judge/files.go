package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// must is for what the judge does itself.
func must(err error) {
	if err != nil {
		_, file, line, _ := runtime.Caller(1)
		panic(fmt.Sprintf("%s:%d: %v", filepath.Base(file), line, err))
	}
}

// read returns the content of a file, or why there is none in angle brackets.
func read(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return "<" + err.Error() + ">"
	}
	return string(text)
}

// write makes a file and the directories above it.
func write(name, text string) {
	must(os.MkdirAll(filepath.Dir(name), 0o755))
	must(os.WriteFile(name, []byte(text), 0o644))
}

// link makes a link, in the place of what is there.
func link(target, name string) {
	must(os.MkdirAll(filepath.Dir(name), 0o755))
	must(os.RemoveAll(name))
	must(os.Symlink(target, name))
}

func whiteout(name string) {
	must(os.RemoveAll(name))
	must(unix.Mknod(name, unix.S_IFCHR, 0))
}

// isWhiteout: nothing but a whiteout is there.
func isWhiteout(name string) bool {
	var st unix.Stat_t
	return unix.Lstat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// wantText wants a file to have a content.
func wantText(name, want string) string {
	if got := read(name); strings.TrimSpace(got) != want {
		return fmt.Sprintf("%s is %q, want %q", name, got, want)
	}
	return ""
}

func wantGone(names ...string) string {
	for _, name := range names {
		if exists(name) {
			return name + " is there"
		}
	}
	return ""
}

func wantThere(names ...string) string {
	for _, name := range names {
		if !exists(name) {
			return name + " is not there"
		}
	}
	return ""
}

func wantLink(name, want string) string {
	if got, err := os.Readlink(name); err != nil || got != want {
		return fmt.Sprintf("%s is a link to %q (%v), want %q", name, got, err, want)
	}
	return ""
}

func wantMode(name string, mode uint32, uid, gid int) string {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return name + ": " + err.Error()
	}
	if st.Mode&0o7777 != mode || int(st.Uid) != uid || int(st.Gid) != gid {
		return fmt.Sprintf("%s has mode %o, owner %d:%d; want %o, %d:%d", name, st.Mode&0o7777, st.Uid, st.Gid, mode, uid, gid)
	}
	return ""
}

// wantOpaque wants a directory of the upper layer to hide those below it.
func wantOpaque(name string) string {
	value := make([]byte, 16)
	n, err := unix.Lgetxattr(name, "trusted.overlay.opaque", value)
	if err != nil || string(value[:n]) != "y" {
		return fmt.Sprintf("%s is not opaque: %q, %v", name, value[:max(n, 0)], err)
	}
	return ""
}

// list returns the paths of all that lies below a directory, in order, without it. Links are not followed.
func list(directory string) []string {
	var paths []string
	must(filepath.WalkDir(directory, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && name != directory {
			paths = append(paths, strings.TrimPrefix(name, directory+"/"))
		}
		return err
	}))
	slices.Sort(paths)
	return paths
}

// wantList wants a directory to hold these paths and no others.
func wantList(directory string, want []string) string {
	got := list(directory)
	var wrong []string
	for _, p := range got {
		if !slices.Contains(want, p) {
			wrong = append(wrong, "+"+p)
		}
	}
	for _, p := range want {
		if !slices.Contains(got, p) {
			wrong = append(wrong, "-"+p)
		}
	}
	if len(wrong) > 0 {
		return directory + ": " + strings.Join(wrong, " ")
	}
	return ""
}

// sameTree wants all of one tree to be in another one with the same types, links and contents, where skip does not say otherwise.
func sameTree(here, there string, skip func(path string) bool) string {
	count := 0
	for _, p := range list(here) {
		if skip != nil && skip(p) {
			continue
		}
		count++
		a, err := os.Lstat(here + "/" + p)
		must(err)
		b, err := os.Lstat(there + "/" + p)
		if err != nil {
			return err.Error()
		}
		if a.Mode() != b.Mode() {
			return fmt.Sprintf("%s: %v there, %v here", p, b.Mode(), a.Mode())
		}
		switch {
		case a.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(here + "/" + p)
			must(err)
			if problem := wantLink(there+"/"+p, target); problem != "" {
				return problem
			}
		case a.Mode().IsRegular():
			if read(here+"/"+p) != read(there+"/"+p) {
				return p + " has another content"
			}
		}
	}
	if count < 3 {
		return fmt.Sprintf("only %d entries were compared", count)
	}
	return ""
}

// copyMissing copies what is in one tree and not in the other, as an old system without an overlay has it: with modes, owners, links, and new times.
// What is there - a whiteout, a changed file, an opaque directory with all below it - stays.
func copyMissing(from, to string) {
	entries, err := os.ReadDir(from)
	must(err)
	for _, entry := range entries {
		source, target := from+"/"+entry.Name(), to+"/"+entry.Name()
		var st unix.Stat_t
		must(unix.Lstat(source, &st))
		if exists(target) {
			if info, err := os.Lstat(target); err == nil && info.IsDir() && entry.IsDir() && wantOpaque(target) != "" {
				copyMissing(source, target)
			}
			continue
		}
		switch {
		case entry.IsDir():
			must(os.Mkdir(target, 0o700))
			copyMissing(source, target)
		case entry.Type()&fs.ModeSymlink != 0:
			place, err := os.Readlink(source)
			must(err)
			must(os.Symlink(place, target))
		case entry.Type().IsRegular():
			must(os.WriteFile(target, []byte(read(source)), 0o600))
		default:
			panic("the reference has " + source)
		}
		must(os.Lchown(target, int(st.Uid), int(st.Gid)))
		if entry.Type()&fs.ModeSymlink == 0 {
			must(unix.Chmod(target, st.Mode&0o7777))
		}
	}
}
