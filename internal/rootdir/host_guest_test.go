//go:build guest

package rootdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHost(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ root, inside, want string }{
		{dir, "/", dir},
		{dir + "/", "/", dir},
		{dir + "//./", "/etc/os-release", dir + "/etc/os-release"},
		{dir, "usr/lib", dir + "/usr/lib"},
		{dir, "", dir + "/"},
		{"/", "/", "/"},
		{"/", "/etc", "/etc"},
		{"/", "etc", "/etc"},
	} {
		r, err := Open(test.root)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Host(test.inside); got != test.want {
			t.Errorf("%q in %q: %q, want %q", test.inside, test.root, got, test.want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(file))
	for _, name := range []string{"", ".", "relative"} {
		if r, err := Open(name); err == nil || !strings.Contains(err.Error(), "absolute") {
			t.Errorf("%q: %v, %v", name, r, err)
		}
	}
	if r, err := Open(file); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: %v, %v", r, err)
	}
	if r, err := Open(file + "-not"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v, %v", r, err)
	}
}
