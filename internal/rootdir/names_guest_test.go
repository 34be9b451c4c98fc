//go:build guest

package rootdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestList(t *testing.T) {
	dir := t.TempDir()
	var want []Name
	// More than one answer of the kernel.
	for i := range 300 {
		name := "a name that is not short at all " + strconv.Itoa(1000+i)
		var err error
		if i%2 == 0 {
			err = os.Mkdir(filepath.Join(dir, name), 0o700)
		} else {
			err = os.WriteFile(filepath.Join(dir, name), nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, Name{name, i%2 == 0})
	}
	if err := os.Symlink(want[0].Text, filepath.Join(dir, "z")); err != nil {
		t.Fatal(err)
	}
	want = append(want, Name{"z", false})
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := r.List("/", 0)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b Name) int { return slices.Compare([]byte(a.Text), []byte(b.Text)) })
	if !slices.Equal(got, want) {
		t.Errorf("%d names: %v", len(got), got)
	}
	if _, err := r.List("gone", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if names, err := r.ReadNames("gone"); names != nil || err != nil {
		t.Error(names, err)
	}
	if _, err := r.List(want[1].Text, 0); !errors.Is(err, unix.ENOTDIR) {
		t.Error(err)
	}
}
