//go:build guest

package extension

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/rootdir"
)

// newTree makes files below a new directory: "a/b" with text, "a/" as an empty directory,
// "a -> b" as a link.
func newTree(t *testing.T, entries map[string]string) *rootdir.Root {
	t.Helper()
	directory := t.TempDir()
	for name, text := range entries {
		link, target, isLink := strings.Cut(name, " -> ")
		at := filepath.Join(directory, link)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case isLink:
			err = os.Symlink(target, at)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(at, 0o755)
		default:
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return openTree(t, directory)
}

func openTree(t *testing.T, directory string) *rootdir.Root {
	t.Helper()
	root, err := rootdir.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// host returns the path of something in the tree, from outside.
func host(root *rootdir.Root, inside string) string { return root.Host(inside) }
