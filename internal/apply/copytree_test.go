package apply

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// describeTree lists all in a tree with what copyTree keeps.
func describeTree(t *testing.T, tree string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(tree, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			content = string(text)
		case info.Mode()&os.ModeSymlink != 0:
			if content, err = os.Readlink(name); err != nil {
				return err
			}
		}
		lines = append(lines, strings.Join([]string{strings.TrimPrefix(name, tree), info.Mode().String(), info.ModTime().UTC().String(), content}, " "))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func makeTree(t *testing.T) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	for _, err := range []error{
		os.MkdirAll(tree+"/a/b", 0o755), os.WriteFile(tree+"/a/file", []byte("text"), 0o640), os.WriteFile(tree+"/a/b/empty", nil, 0o600),
		os.Symlink("../../outside", tree+"/a/link"), unix.Mkfifo(tree+"/pipe", 0o620), os.Chmod(tree+"/a/b", 0o2711), os.Chmod(tree+"/a/file", 0o4755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	past := time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)
	for _, name := range []string{"/a/file", "/a/b/empty", "/pipe", "/a/b", "/a", ""} {
		if err := os.Chtimes(tree+name, past, past); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func TestCopyTree(t *testing.T) {
	from, to := makeTree(t), filepath.Join(t.TempDir(), "copy")
	for range 2 {
		if err := copyTree(from, to); err != nil {
			t.Fatal(err)
		}
		if got, want := describeTree(t, to), describeTree(t, from); !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}
}

// What is there stays, unless something of its name is copied; a link in the way is replaced and not followed.
func TestCopyTreeOverAnother(t *testing.T) {
	from, to, outside := makeTree(t), t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.Mkdir(to+"/a", 0o700), os.WriteFile(to+"/a/kept", []byte("kept"), 0o600), os.Symlink(outside+"/target", to+"/a/file"),
		os.WriteFile(outside+"/target", []byte("target"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{to + "/a/kept": "kept", to + "/a/file": "text", outside + "/target": "target"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestCopyTreeRefuses(t *testing.T) {
	from, to := makeTree(t), t.TempDir()
	if err := os.WriteFile(to+"/a", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to); err == nil || !strings.Contains(err.Error(), "/a is in the way") {
		t.Error(err)
	}
	if err := copyTree(from+"/nothing", to); !os.IsNotExist(err) {
		t.Error(err)
	}
	deep := t.TempDir()
	if err := os.MkdirAll(deep+strings.Repeat("/d", maxDepth+2), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(deep, t.TempDir()); err == nil || !strings.Contains(err.Error(), "levels") {
		t.Error(err)
	}
}
