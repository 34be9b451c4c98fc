package apply

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplaceLink(t *testing.T) {
	folder := t.TempDir()
	directory, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Close()
	set := func(name, target string) error { return replaceLink(int(directory.Fd()), name, target) }
	// One that a cut off boot has left.
	if err := os.Symlink("left", filepath.Join(folder, ".#x.raw")); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/old", "/new", "/new"} {
		if err := set("x.raw", target); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(filepath.Join(folder, "x.raw")); got != target || err != nil {
			t.Errorf("it leads to %q, %v", got, err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "file.raw"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := set("file.raw", "/new"); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("a file: %v", err)
	}
	if err := os.Mkdir(filepath.Join(folder, "directory.raw"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := set("directory.raw", "/new"); err == nil {
		t.Error("a directory was replaced")
	}
	// What stands in the way of the link beside it.
	if err := os.Mkdir(filepath.Join(folder, ".#y.raw"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := set("y.raw", "/new"); err == nil {
		t.Error("no error")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if got := strings.Join(names, " "); got != ".#y.raw directory.raw file.raw x.raw" {
		t.Errorf("there are %s", got)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "file.raw")); string(text) != "mine" || err != nil {
		t.Errorf("the file has %q, %v", text, err)
	}
}
