//go:build guest

package bootrefresh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// newSystem makes a root with two confexts, on a file system of its own, and returns it.
func newSystem(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	mount(t, top)
	writeFile(t, top+"/etc/os-release", "ID=test\nVERSION_ID=1\n")
	writeFile(t, top+"/usr/lib/confexts/default.raw", "an image")
	writeFile(t, top+"/var/lib/confexts/user/etc/file", "x")
	writeFile(t, top+"/var/lib/confexts/versions.v/versions_1/etc/file", "x")
	writeFile(t, top+"/opt/elsewhere.raw", "an image")
	// Linux 6.12 would give a change in the same tick the same time.
	for _, image := range []string{"/usr/lib/confexts/default.raw", "/opt/elsewhere.raw"} {
		if err := os.Chtimes(top+image, time.Time{}, time.Unix(1700000000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/opt/elsewhere.raw", top+"/var/lib/confexts/link.raw"); err != nil {
		t.Fatal(err)
	}
	for _, directory := range []string{"/run", "/var/lib/extensions.mutable"} {
		if err := os.MkdirAll(top+directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

func mount(t *testing.T, at string) {
	t.Helper()
	if err := unix.Mount("test", at, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

func writeFile(t *testing.T, at, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readState(t *testing.T, top string, class osrelease.Class) *State {
	t.Helper()
	root, err := rootdir.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	state, err := ReadState(root, class, extension.Settings{Mutable: "auto"}, "")
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestStateSeesWhatChanges changes a system in one way at a time between two looks.
func TestStateSeesWhatChanges(t *testing.T) {
	remove := func(at string) func(*testing.T, string) {
		return func(t *testing.T, top string) {
			if err := os.RemoveAll(top + at); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(at, text string) func(*testing.T, string) {
		return func(t *testing.T, top string) { writeFile(t, top+at, text) }
	}
	mountAt := func(at string) func(*testing.T, string) {
		return func(t *testing.T, top string) {
			if err := os.MkdirAll(top+at, 0o755); err != nil {
				t.Fatal(err)
			}
			mount(t, top+at)
		}
	}
	both := func(first, second func(*testing.T, string)) func(*testing.T, string) {
		return func(t *testing.T, top string) { first(t, top); second(t, top) }
	}
	for name, c := range map[string]struct {
		change func(*testing.T, string)
		want   string // "" for what is no change
	}{
		"nothing":                     {func(*testing.T, string) {}, ""},
		"a directory in /run":         {write("/run/confexts/new/etc/file", ""), "/run/confexts/new was added"},
		"an image in /usr/local":      {write("/usr/local/lib/confexts/new.raw", ""), "/usr/local/lib/confexts/new.raw was added"},
		"a mask":                      {write("/run/confexts/user/x", ""), "/run/confexts/user was changed"},
		"removed":                     {remove("/var/lib/confexts/user"), "/var/lib/confexts/user was removed"},
		"a directory made anew":       {both(remove("/var/lib/confexts/user"), write("/var/lib/confexts/user/etc/file", "x")), "/var/lib/confexts/user was changed"},
		"an image written to":         {write("/usr/lib/confexts/default.raw", "another image"), "/usr/lib/confexts/default.raw was changed"},
		"what a link leads to":        {write("/opt/elsewhere.raw", "another image"), "/opt/elsewhere.raw was changed"},
		"a newer version":             {write("/var/lib/confexts/versions.v/versions_2/etc/file", "x"), "/var/lib/confexts/versions.v/versions_2 was changed"},
		"an older version":            {write("/var/lib/confexts/versions.v/versions_0/etc/file", "x"), ""},
		"a root hash beside an image": {write("/usr/lib/confexts/default.roothash", strings.Repeat("ab", 32)), "/usr/lib/confexts/default.raw was changed"},
		"a signature without hash":    {write("/usr/lib/confexts/default.roothash.p7s", "x"), ""},
		"a mount on /var":             {mountAt("/var"), "/opt/elsewhere.raw was removed"},
		"a mount on /var with another": {both(both(mountAt("/var"), write("/var/lib/confexts/a/etc/x", "")), mountAt("/other")),
			"/var/lib/confexts/a was added"},
		"a mount that shows the same names": {both(mountAt("/usr/lib/confexts"), write("/usr/lib/confexts/default.raw", "an image")),
			"/usr/lib/confexts/default.raw was changed"},
		"a mount elsewhere":         {mountAt("/srv"), ""},
		"a mount on /etc":           {both(mountAt("/etc"), write("/etc/os-release", "ID=test\nVERSION_ID=1\n")), "another mount is at /etc"},
		"a mutable directory":       {write("/var/lib/extensions.mutable/etc/x", ""), "the mutable directory of /etc is another one"},
		"another version of the OS": {write("/etc/os-release", "ID=test\nVERSION_ID=2\n"), "os-release is another one"},
		"another name of the OS":    {write("/etc/os-release", "ID=test\nVERSION_ID=1\nNAME=x\n"), ""},
		"a lock of systemd's":       {write("/var/lib/confexts/.#user.lck", ""), ""},
		"a download":                {write("/var/lib/confexts/.sysupdate.x.raw", ""), ""},
		"a file in an extension":    {write("/var/lib/confexts/user/etc/other", ""), ""},
		"a file in /etc":            {write("/etc/file", ""), ""},
		"a sysext":                  {write("/run/extensions/new/usr/file", ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			top := newSystem(t)
			was := readState(t, top, osrelease.ClassConfext)
			c.change(t, top)
			if got := was.FindChange(readState(t, top, osrelease.ClassConfext)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestStateOfSysextsHasBothHierarchies mounts something on each.
func TestStateOfSysextsHasBothHierarchies(t *testing.T) {
	for _, at := range []string{"/usr", "/opt"} {
		top := newSystem(t)
		was := readState(t, top, osrelease.ClassSysext)
		if len(was.Hierarchies) != 2 || was.Hierarchies[0].Merged {
			t.Fatalf("%+v", was.Hierarchies)
		}
		mount(t, top+at)
		if got, want := was.FindChange(readState(t, top, osrelease.ClassSysext)), "another mount is at "+at; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestStateSurvivesTheMoveOfTheRoot looks before and after as the boot does.
func TestStateSurvivesTheMoveOfTheRoot(t *testing.T) {
	top := newSystem(t)
	was := readState(t, top, osrelease.ClassConfext)
	elsewhere := t.TempDir()
	if err := unix.Mount(top, elsewhere, "", unix.MS_MOVE, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(elsewhere, unix.MNT_DETACH) })
	if change := was.FindChange(readState(t, elsewhere, osrelease.ClassConfext)); change != "" {
		t.Error(change)
	}
}

func TestReadUnitAndVersion(t *testing.T) {
	const unit = "[Service]\nExecStart=systemd-confext refresh\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string // of the error
	}{
		"plain":            {},
		"masked by a link": {map[string]string{"/etc/systemd/system/systemd-confext.service -> /dev/null": ""}, "is masked"},
		"masked by an empty file": {map[string]string{"/etc/systemd/system/systemd-confext.service": ""},
			"is masked"},
		"overridden": {map[string]string{"/etc/systemd/system/systemd-confext.service": "[Service]\nExecStart=/bin/true\n"},
			"ExecStart=/bin/true is not the refresh that is known"},
		"drop-in": {map[string]string{"/etc/systemd/system/systemd-confext.service.d/a.conf": "[Service]\nExecStart=/bin/true\n"},
			"2 commands"},
		"drop-in for all services": {map[string]string{"/usr/lib/systemd/system/service.d/a.conf": "[Service]\nExecSearchPath=/opt\n"},
			"sets ExecSearchPath="},
		"drop-in for systemd's services": {map[string]string{"/usr/lib/systemd/system/systemd-.service.d/a.conf": "[Service]\nExecSearchPath=/opt\n"},
			"sets ExecSearchPath="},
		"harmless drop-in": {map[string]string{"/etc/systemd/system/systemd-confext.service.d/a.conf": "[Unit]\nAfter=x.service\n"}, ""},
		"hidden drop-in": {map[string]string{"/usr/lib/systemd/system/systemd-confext.service.d/a.conf": "[Service]\nExecStart=/bin/true\n",
			"/etc/systemd/system/systemd-confext.service.d/a.conf": "[Unit]\nAfter=x.service\n"}, ""},
		"masked drop-in": {map[string]string{"/usr/lib/systemd/system/systemd-confext.service.d/a.conf": "[Service]\nExecStart=/bin/true\n",
			"/etc/systemd/system/systemd-confext.service.d/a.conf -> /dev/null": ""}, ""},
		"backup file": {map[string]string{"/etc/systemd/system/systemd-confext.service.d/a.conf~": "[Service]\nExecStart=/bin/true\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			writeFile(t, top+"/usr/lib/systemd/system/systemd-confext.service", unit)
			writeFile(t, top+"/usr/bin/systemd-confext", "x")
			if err := os.Chmod(top+"/usr/bin/systemd-confext", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(top+"/dev", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mknod(top+"/dev/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
				t.Fatal(err)
			}
			for file, text := range c.files {
				at, target, isLink := strings.Cut(file, " -> ")
				if !isLink {
					writeFile(t, top+at, text)
					continue
				}
				if err := os.MkdirAll(filepath.Dir(top+at), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(target, top+at); err != nil {
					t.Fatal(err)
				}
			}
			root, err := rootdir.Open(top)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			found, err := ReadUnit(root, osrelease.ClassConfext)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%+v, %v; want %q", found, err, c.want)
				}
				return
			}
			if err != nil || found.Program != "/usr/bin/systemd-confext" || found.Absolute {
				t.Fatalf("%+v, %v", found, err)
			}
			if err := os.Chmod(top+"/usr/bin/systemd-confext", 0o644); err != nil {
				t.Fatal(err)
			}
			if found, err := ReadUnit(root, osrelease.ClassConfext); err == nil {
				t.Errorf("a program that cannot be executed: %+v", found)
			}
		})
	}
}

func TestReadSystemdVersion(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  int
		err   string
	}{
		"Debian":     {[]string{"/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so"}, 257, ""},
		"others":     {[]string{"/usr/lib/systemd/libsystemd-shared-260.1-2.so", "/usr/lib/systemd/libsystemd-core-260.1-2.so"}, 260, ""},
		"lib64":      {[]string{"/usr/lib64/systemd/libsystemd-shared-255.so"}, 255, ""},
		"the same":   {[]string{"/usr/lib64/systemd/libsystemd-shared-255.so", "/usr/lib/systemd/libsystemd-shared-255.4.so"}, 255, ""},
		"two":        {[]string{"/usr/lib64/systemd/libsystemd-shared-255.so", "/usr/lib/systemd/libsystemd-shared-260.so"}, 0, "more than one"},
		"none":       {[]string{"/usr/lib/systemd/systemd"}, 0, "there is no libsystemd-shared-"},
		"no systemd": {nil, 0, "there is no libsystemd-shared-"},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			for _, file := range c.files {
				writeFile(t, top+file, "x")
			}
			root, err := rootdir.Open(top)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			version, err := ReadSystemdVersion(root)
			if version != c.want || (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%d, %v", version, err)
			}
		})
	}
}
