//go:build guest

package trust

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/rootdir"
)

// newRoot makes files below a new directory: "a/b" with text, "a -> b" as a link, "a/" as a directory.
func newRoot(t *testing.T, entries map[string]string) *rootdir.Root {
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
	return openRoot(t, directory)
}

func openRoot(t *testing.T, directory string) *rootdir.Root {
	t.Helper()
	root, err := rootdir.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// list shows what counts and what does not, by paths below the root.
func list(root *rootdir.Root, certificates []Certificate, notes []Note) (counts, not string) {
	var paths, texts []string
	for _, c := range certificates {
		paths = append(paths, strings.TrimPrefix(c.Path, root.Host("/")+"/"))
	}
	for _, n := range notes {
		texts = append(texts, strings.TrimPrefix(n.Path, root.Host("/")+"/")+": "+n.Err.Error())
	}
	slices.Sort(texts)
	return strings.Join(paths, " "), strings.Join(texts, "; ")
}

func TestReadDirectories(t *testing.T) {
	text, der := newCertificate(t, "x")
	const etc, run, local, usr = "etc/verity.d/", "run/verity.d/", "usr/local/lib/verity.d/", "usr/lib/verity.d/"
	for name, test := range map[string]struct {
		entries     map[string]string
		directories []string
		counts, not string
	}{
		"nothing there": {entries: map[string]string{"etc/": ""}},
		"all four, by name": {
			entries: map[string]string{usr + "a.crt": text, etc + "b.crt": text, local + "d.crt": text, run + "c.crt": text},
			counts:  usr + "a.crt " + etc + "b.crt " + run + "c.crt " + local + "d.crt",
		},
		"the earlier hides the later": {
			entries: map[string]string{etc + "a.crt": text, run + "a.crt": text, run + "b.crt": text, local + "b.crt": text, usr + "b.crt": text},
			counts:  etc + "a.crt " + run + "b.crt",
		},
		"a bad one hides too": {
			entries: map[string]string{etc + "a.crt": "garbage", usr + "a.crt": text},
			not:     etc + "a.crt: it is not PEM",
		},
		"masks": {
			entries: map[string]string{etc + "a.crt -> /dev/null": "", run + "b.crt": "", usr + "a.crt": text, usr + "b.crt": text, usr + "c.crt": text},
			counts:  usr + "c.crt",
		},
		"a mask of a lower one does not matter": {
			entries: map[string]string{etc + "a.crt": text, usr + "a.crt -> /dev/null": ""},
			counts:  etc + "a.crt",
		},
		"other files": {
			entries: map[string]string{usr + "a.pem": text, usr + "README": "x", usr + "b.crt/c.crt": text, usr + "d.crt -> nowhere": "", usr + "e.crt": string(der)},
			not: usr + "b.crt: not a regular file; " + usr + "d.crt: not a regular file\nopen ROOT/" + usr + "d.crt: no such file or directory; " +
				usr + "e.crt: it is not PEM",
		},
		"what is no file hides nothing": {
			entries: map[string]string{etc + "a.crt/": "", run + "a.crt -> nowhere": "", usr + "a.crt": text},
			counts:  usr + "a.crt",
			not:     etc + "a.crt: not a regular file; " + run + "a.crt: not a regular file\nopen ROOT/" + run + "a.crt: no such file or directory",
		},
		"links": {
			entries: map[string]string{"usr/share/x": text, usr + "a.crt -> ../../share/x": "", usr + "b.crt -> /usr/share/x": "",
				"lib/verity.d/c.crt": text, "usr/local/lib -> /lib": ""},
			counts: usr + "a.crt " + usr + "b.crt lib/verity.d/c.crt",
		},
		"only what was said": {
			entries:     map[string]string{etc + "a.crt": text, usr + "b.crt": text},
			directories: []string{"/usr/lib/verity.d"},
			counts:      usr + "b.crt",
		},
		"no directory": {
			entries: map[string]string{"etc/verity.d": "x", usr + "b.crt": text},
			counts:  usr + "b.crt",
			not:     "etc/verity.d: open ROOT/etc/verity.d: not a directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := newRoot(t, test.entries)
			directories := test.directories
			if directories == nil {
				directories = Directories
			}
			certificates, notes := ReadDirectories(root, directories)
			counts, not := list(root, certificates, notes)
			not = strings.ReplaceAll(not, root.Host("/"), "ROOT")
			if counts != test.counts || not != test.not {
				t.Errorf("%q counts, not %q", counts, not)
			}
		})
	}
}

func TestReadDirectoriesBoundsTheirNumber(t *testing.T) {
	entries := map[string]string{}
	for i := range maxCertificates + 1 {
		entries[fmt.Sprintf("etc/verity.d/%03d.crt", i)] = ""
	}
	text, _ := newCertificate(t, "x")
	entries["etc/verity.d/000.crt"] = text
	certificates, notes := ReadDirectories(newRoot(t, entries), Directories)
	if len(certificates) != 1 || len(notes) != 1 || notes[0].Err.Error() != "there are more than 256 certificates" {
		t.Errorf("%v, %v", certificates, notes)
	}
}

// TestReadDirectoriesStaysOnTheFileSystem: a link in a verified directory can lead to what is not.
func TestReadDirectoriesStaysOnTheFileSystem(t *testing.T) {
	text, _ := newCertificate(t, "x")
	root := newRoot(t, map[string]string{"usr/lib/verity.d/a.crt -> /writable/a": "", "usr/lib/verity.d/b.crt": text, "writable/": ""})
	mountTmpfs(t, root.Host("/writable"))
	if err := os.WriteFile(root.Host("/writable/a"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	certificates, notes := ReadDirectories(root, Directories)
	counts, not := list(root, certificates, notes)
	if counts != "usr/lib/verity.d/b.crt" || not != "usr/lib/verity.d/a.crt: it lies on another file system than its directory" {
		t.Errorf("%q counts, not %q", counts, not)
	}
}

func mountTmpfs(t *testing.T, at string) {
	t.Helper()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

// TestVerifiedDirectories: this guest lives in its initramfs, whose own files count, but not what is
// mounted over them.
func TestVerifiedDirectories(t *testing.T) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	mounts, err := mountinfo.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if !isInitramfs(mounts) {
		t.Errorf("not known as an initramfs: %+v", mounts)
	}
	for _, directory := range []string{"/etc/verity.d", "/run/verity.d", "/usr/lib/verity.d"} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(directory) })
	}
	root := openRoot(t, "/")
	if got := VerifiedDirectories(root, mounts, "/sys"); !slices.Equal(got, withoutMounts(t, "/etc/verity.d", "/run/verity.d", "/usr/lib/verity.d")) {
		t.Errorf("%q", got)
	}
	mountTmpfs(t, "/usr/lib/verity.d")
	if got := VerifiedDirectories(root, mounts, "/sys"); slices.Contains(got, "/usr/lib/verity.d") || !slices.Contains(got, "/etc/verity.d") {
		t.Errorf("%q", got)
	}
	if got := VerifiedDirectories(root, nil, "/sys"); len(got) != 0 {
		t.Errorf("outside of an initramfs: %q", got)
	}
}

// withoutMounts leaves out what lies on another file system than the root: the harness may mount /run.
func withoutMounts(t *testing.T, directories ...string) []string {
	t.Helper()
	var top, stat unix.Stat_t
	if err := unix.Stat("/", &top); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(directories, func(directory string) bool {
		if err := unix.Stat(directory, &stat); err != nil {
			t.Fatal(err)
		}
		return stat.Dev != top.Dev
	})
}
