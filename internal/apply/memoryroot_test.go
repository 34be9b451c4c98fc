package apply

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFillEmptyRoot(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"usr/bin", "usr/lib", "usr/lib64"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/sbin"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Twice, since some of it may be there.
	for range 2 {
		if err := FillEmptyRoot(root); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]os.FileMode{"etc": 0o755, "var": 0o755, "root": 0o750, "tmp": 0o777 | os.ModeSticky} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode() != want|os.ModeDir {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for name, want := range map[string]string{"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "", "lib32": ""} {
		if link, _ := os.Readlink(filepath.Join(root, name)); link != want {
			t.Errorf("%s leads to %q, want %q", name, link, want)
		}
	}
}
