//go:build guest

package rootdir_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// makeRoot makes a tree: a value "-> TARGET" is a link, "/" a directory,
// anything else a file with this text.
func makeRoot(t *testing.T, entries map[string]string) *rootdir.Root {
	t.Helper()
	top := filepath.Join(t.TempDir(), "root")
	for name, value := range entries {
		at := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		target, isLink := strings.CutPrefix(value, "-> ")
		var err error
		switch {
		case isLink:
			err = os.Symlink(target, at)
		case value == "/":
			err = os.MkdirAll(at, 0o755)
		default:
			err = os.WriteFile(at, []byte(value), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := rootdir.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

var tree = map[string]string{
	"etc/os-release":         "-> ../usr/lib/os-release",
	"usr/lib/os-release":     "ID=test\n",
	"etc/absolute":           "-> /usr/lib/os-release",
	"etc/up":                 "-> ../../../../../../../usr/lib/os-release",
	"etc/outside":            "-> /outside",
	"etc/dangling":           "-> nowhere",
	"etc/loop":               "-> loop",
	"etc/chain1":             "-> chain2",
	"etc/chain2":             "-> /etc/chain3",
	"etc/chain3":             "-> os-release",
	"etc/magic":              "-> /proc/self/exe",
	"etc/magicroot":          "-> /proc/self/root/etc/passwd",
	"lib":                    "-> usr/lib",
	"deep":                   "-> lib/../lib/../../usr/./lib",
	"empty":                  "/",
	"odd/\n \xff\"(deleted)": "odd",
	"odd/gone (deleted)":     "kept",
}

func TestResolve(t *testing.T) {
	r := makeRoot(t, tree)
	// What only a way out of the root would find.
	if err := os.WriteFile("/outside", []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/outside")
	for _, test := range []struct {
		path, want string
		err        error
	}{
		{"/", "/", nil},
		{".", "/", nil},
		{"..", "/", nil},
		{"/../../..", "/", nil},
		{"/usr/lib/os-release", "/usr/lib/os-release", nil},
		{"usr/lib/os-release", "/usr/lib/os-release", nil},
		{"/../../usr/../usr/lib/os-release", "/usr/lib/os-release", nil},
		{"/etc/os-release", "/usr/lib/os-release", nil},
		{"/etc/absolute", "/usr/lib/os-release", nil},
		{"/etc/up", "/usr/lib/os-release", nil},
		{"/etc/chain1", "/usr/lib/os-release", nil},
		{"/lib", "/usr/lib", nil},
		{"/lib/os-release", "/usr/lib/os-release", nil},
		{"/deep/os-release", "/usr/lib/os-release", nil},
		{"/empty/", "/empty", nil},
		{"/odd/\n \xff\"(deleted)", "/odd/\n \xff\"(deleted)", nil},
		{"/odd/gone (deleted)", "/odd/gone (deleted)", nil},
		{"/etc/outside", "", unix.ENOENT},
		{"/etc/dangling", "", unix.ENOENT},
		{"/nowhere", "", unix.ENOENT},
		{"", "", unix.ENOENT},
		{"/etc/loop", "", unix.ELOOP},
		{"/usr/lib/os-release/x", "", unix.ENOTDIR},
		{"/usr/lib/os-release/", "", unix.ENOTDIR},
		{"/etc/magic", "", unix.ENOENT}, // no /proc inside
		{"/" + strings.Repeat("x", 256), "", unix.ENAMETOOLONG},
		{"/" + strings.Repeat("x/", 2048), "", unix.ENAMETOOLONG},
		{"/nul\x00byte", "", unix.EINVAL},
	} {
		entry, err := r.Resolve(test.path)
		if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
			t.Errorf("%.80q: %v, want %v", test.path, err, test.err)
		}
		if err != nil {
			continue
		}
		if entry.Path != test.want {
			t.Errorf("%q: %q, want %q", test.path, entry.Path, test.want)
		}
		var st unix.Stat_t
		if err := unix.Stat(r.Host(entry.Path), &st); err != nil || st.Ino != entry.Stat.Ino || st.Dev != entry.Stat.Dev {
			t.Errorf("%q: from outside %s is another one, %v", test.path, r.Host(entry.Path), err)
		}
		if err := entry.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Resolve("/etc/dangling"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), r.Host("/etc/dangling")) {
		t.Errorf("dangling: %v", err)
	}
}

func TestMagicLinksAreRefused(t *testing.T) {
	r := makeRoot(t, tree)
	if err := os.Mkdir(r.Host("/proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", r.Host("/proc"), "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(r.Host("/proc"), unix.MNT_DETACH) }()
	for _, path := range []string{"/etc/magic", "/etc/magicroot", "/proc/self/exe", "/proc/self/root", "/proc/self/cwd/x", "/proc/self/fd/0"} {
		if entry, err := r.Resolve(path); !errors.Is(err, unix.ELOOP) {
			t.Errorf("%s: %+v, %v", path, entry, err)
		}
		if text, err := r.ReadFile(path); !errors.Is(err, unix.ELOOP) {
			t.Errorf("%s: %.20q, %v", path, text, err)
		}
	}
	// What is no link is read, across the mount.
	if text, err := r.ReadFile("/proc/version"); err != nil || len(text) == 0 {
		t.Errorf("%q, %v", text, err)
	}
	if entry, err := r.Resolve("/proc/version"); err != nil || entry.Path != "/proc/version" {
		t.Errorf("%+v, %v", entry, err)
	} else {
		entry.Close()
	}
}

func TestReadFile(t *testing.T) {
	r := makeRoot(t, tree)
	for _, path := range []string{"/usr/lib/os-release", "/etc/os-release", "/etc/absolute", "/etc/up"} {
		if text, err := r.ReadFile(path); err != nil || string(text) != "ID=test\n" {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	if text, err := r.ReadFile("/nowhere"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q, %v", text, err)
	}
	// Bounded: exactly 1 MiB is read, one byte more is not.
	for size, good := range map[int]bool{1 << 20: true, 1<<20 + 1: false} {
		if err := os.WriteFile(r.Host("/large"), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := r.ReadFile("/large")
		if good && (err != nil || len(text) != size) || !good && (err == nil || text != nil || !strings.Contains(err.Error(), "larger than")) {
			t.Errorf("%d bytes: %d, %v", size, len(text), err)
		}
	}
}

// TestOnlyRegularFilesAreRead makes everything else; none of it may block, or be
// opened at all: the device is one that does not exist, and would answer ENXIO.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	r := makeRoot(t, tree)
	if err := unix.Mkfifo(r.Host("/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]uint32{"/char": unix.S_IFCHR, "/block": unix.S_IFBLK} {
		if err := unix.Mknod(r.Host(name), mode|0o600, int(unix.Mkdev(511, 7))); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	t.Chdir(r.Host("/"))
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "socket"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/fifo", "/char", "/block", "/socket", "/empty", "/"} {
		text, err := r.ReadFile(name)
		if err == nil || !strings.HasSuffix(err.Error(), "not a regular file") || !strings.Contains(err.Error(), r.Host(name)) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestReadErrorsNameTheFile(t *testing.T) {
	r := makeRoot(t, tree)
	if err := os.Mkdir(r.Host("/proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", r.Host("/proc"), "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(r.Host("/proc"), unix.MNT_DETACH) }()
	// A regular file that cannot be opened, and one that cannot be read.
	for _, path := range []string{"/proc/sysrq-trigger", "/proc/1/mem"} {
		_, err := r.ReadFile(path)
		if !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), r.Host(path)) || strings.Contains(err.Error(), "/fd/") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestReadNames(t *testing.T) {
	r := makeRoot(t, tree)
	names, err := r.ReadNames("/lib/..")
	if slices.Sort(names); err != nil || !slices.Equal(names, []string{"lib"}) {
		t.Errorf("%q, %v", names, err)
	}
	for _, path := range []string{"/empty", "/nowhere", "/etc/dangling", "/etc/outside"} {
		if names, err := r.ReadNames(path); len(names) != 0 || err != nil {
			t.Errorf("%s: %q, %v", path, names, err)
		}
	}
	if names, err := r.ReadNames("/usr/lib/os-release"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("%q, %v", names, err)
	}
	if names, err := r.ReadNames("/etc/loop"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("%q, %v", names, err)
	}
}

func TestOpenIsForReadingBelow(t *testing.T) {
	r := makeRoot(t, tree)
	file, err := r.Open("/etc/os-release", unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if text, err := io.ReadAll(file); err != nil || string(text) != "ID=test\n" {
		t.Errorf("%q, %v", text, err)
	}
	flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v", flags, err)
	}
	// A link itself can be had, too.
	link, err := r.Open("/etc/os-release", unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if info, err := link.Stat(); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestADirectoryOnTheMove has the kernel give up look-ups with "..", again and again.
func TestADirectoryOnTheMove(t *testing.T) {
	r := makeRoot(t, tree)
	if err := os.MkdirAll(r.Host("/a/b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var movers sync.WaitGroup
	movers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(r.Host("/a"), r.Host("/z"))
				_ = os.Rename(r.Host("/z"), r.Host("/a"))
			}
		}
	})
	for range 2000 {
		entry, err := r.Resolve("/usr/../usr/../usr/lib/../../usr/lib/os-release")
		if err != nil {
			t.Error(err)
			break
		}
		if entry.Path != "/usr/lib/os-release" {
			t.Error(entry.Path)
		}
		entry.Close()
	}
	close(stop)
	movers.Wait()
}

func TestTheRootOfTheProcess(t *testing.T) {
	r, err := rootdir.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	entry, err := r.Resolve("/proc/../dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer entry.Close()
	if entry.Path != "/dev/null" || r.Host(entry.Path) != "/dev/null" || r.Host("/") != "/" {
		t.Errorf("%+v", entry)
	}
}

func TestARootThatIsALinkIsNoticed(t *testing.T) {
	r := makeRoot(t, tree)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(r.Host("/"), link); err != nil {
		t.Fatal(err)
	}
	if linked, err := rootdir.Open(link); err == nil || !strings.Contains(err.Error(), "it leads to "+r.Host("/")) {
		t.Errorf("%+v, %v", linked, err)
	}
}
