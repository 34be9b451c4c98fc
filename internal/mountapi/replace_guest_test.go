//go:build guest

package mountapi

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// tmpfsWith makes a detached tmpfs with one file in it, by way of a namespace.
func tmpfsWith(t *testing.T, text string) *Mount {
	t.Helper()
	n, err := NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	at := t.TempDir()
	var m *Mount
	err = n.Do(func() error {
		if err := Attach("tmpfs", "tmpfs", at, nil, 0); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(at, "file"), []byte(text), 0o644); err != nil {
			return err
		}
		m, err = CloneTree(at)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if IsMountPoint(at) {
		t.Error("a mount of the namespace is seen outside")
	}
	return m
}

// TestReplaceByMountBeneath replaces a mount by one made in another namespace, with private and with shared mounts, and
// finds the file there all the time.
func TestReplaceByMountBeneath(t *testing.T) {
	for name, propagation := range map[string]uintptr{"private": unix.MS_PRIVATE, "shared": unix.MS_SHARED} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			if err := Attach("tmpfs", "tmpfs", parent, nil, 0); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = Detach(parent) }()
			if err := unix.Mount("", parent, "", unix.MS_REC|propagation, ""); err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(parent, "at")
			if err := os.Mkdir(at, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := tmpfsWith(t, "0").MoveTo(at); err != nil {
				t.Fatal(err)
			}
			stop, gaps := make(chan bool), make(chan int)
			go func() {
				missing := 0
				for {
					select {
					case <-stop:
						gaps <- missing
						return
					default:
						if _, err := os.Stat(at + "/file"); err != nil {
							missing++
						}
					}
				}
			}()
			for range 50 {
				if err := tmpfsWith(t, "next").MoveBeneath(at); err != nil {
					t.Fatal(err)
				}
				if err := Detach(at); err != nil {
					t.Fatal(err)
				}
			}
			close(stop)
			if missing := <-gaps; missing > 0 {
				t.Errorf("the file was missing %d times", missing)
			}
			if text, err := os.ReadFile(at + "/file"); string(text) != "next" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
			if err := Detach(at); err != nil {
				t.Fatal(err)
			}
			if IsMountPoint(at) {
				t.Error("more than one mount was there")
			}
		})
	}
}

// TestDetachCoveredMount takes a mount away that another one covers.
func TestDetachCoveredMount(t *testing.T) {
	at := t.TempDir()
	if err := tmpfsWith(t, "below").MoveTo(at); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(at, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := tmpfsWith(t, "inner").MoveTo(inner); err != nil {
		t.Fatal(err)
	}
	held, err := Hold(inner)
	if err != nil {
		t.Fatal(err)
	}
	if err := tmpfsWith(t, "above").MoveTo(at); err != nil {
		t.Fatal(err)
	}
	if err := held.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := Detach(at); err != nil {
		t.Fatal(err)
	}
	if IsMountPoint(inner) {
		t.Error("the covered mount is still there")
	}
	if err := Detach(at); err != nil {
		t.Fatal(err)
	}
}
