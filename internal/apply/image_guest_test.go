//go:build guest

package apply

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/preroot/preroot/internal/ddi/dditest"
)

// image is a verity DDI to be made.
type image struct {
	files map[string]string
	// usr makes the data partition one of /usr, below which files lie then.
	usr       bool
	algorithm string // sha256 if empty
	signed    bool   // with a signature partition; nobody checks what is in it
}

// built is a finished DDI.
type built = dditest.Built

// writeTree makes files below a new directory.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	tree := &world{T: t, path: t.TempDir()}
	for name, text := range files {
		tree.write(name, text)
	}
	return tree.path
}

func (i image) build(t *testing.T) built {
	t.Helper()
	content, err := os.ReadFile(packTree(t, "erofs", writeTree(t, i.files)))
	if err != nil {
		t.Fatal(err)
	}
	return i.buildOf(t, content)
}

// buildOf makes a DDI of a file system, or whatever content is.
func (i image) buildOf(t *testing.T, content []byte) built {
	t.Helper()
	image := dditest.Image{Content: content, Usr: i.usr, Algorithm: i.algorithm}
	if i.signed {
		image.Sign = func(string) []byte { return make([]byte, 3) }
	}
	return image.Build()
}

// addImage writes a DDI into the root.
func (w *world) addImage(at string, b built) {
	w.Helper()
	w.check(os.MkdirAll(filepath.Dir(w.at(at)), 0o755))
	w.check(os.WriteFile(w.at(at), b.Data, 0o644))
}

// addFileSystem writes an image without partitions into the root.
func (w *world) addFileSystem(at, fsType string, files map[string]string) {
	w.Helper()
	content, err := os.ReadFile(packTree(w.T, fsType, writeTree(w.T, files)))
	w.check(err)
	w.check(os.MkdirAll(filepath.Dir(w.at(at)), 0o755))
	w.check(os.WriteFile(w.at(at), content, 0o644))
}
