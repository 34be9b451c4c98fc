package contents

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func gzipOf(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// FuzzWalk: no input makes it panic, and parts lie in the file, one behind another.
func FuzzWalk(f *testing.F) {
	files, err := filepath.Glob("testdata/*.img")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var names int
		parts, err := Walk(bytes.NewReader(content), int64(len(content)), func(e Entry, r io.Reader) error {
			names++
			if e.Name == "" || len(e.Name) >= maxName || len(e.Target) >= maxName {
				t.Fatalf("name %q, target %q", e.Name, e.Target)
			}
			if e.Mode&modeType == modeFile {
				n, err := io.Copy(io.Discard, r)
				if err == nil && n != e.Size {
					t.Fatalf("%d bytes of %d", n, e.Size)
				}
				return err
			}
			return nil
		})
		var end int64
		var counted int
		for _, p := range parts {
			if p.Offset < end || p.Offset+p.Size > int64(len(content)) {
				t.Fatalf("parts %+v in %d bytes", parts, len(content))
			}
			end, counted = p.Offset+p.Size, counted+p.Entries
		}
		if counted != names || err == nil && names > 0 && len(parts) == 0 {
			t.Fatalf("%d entries, %d shown, %v", counted, names, err)
		}
	})
}
