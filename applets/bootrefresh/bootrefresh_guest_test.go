//go:build guest

package bootrefresh

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/bootrefresh"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// TestMain makes the test's own program play all parts: the applet, by the path of its file, as bin/preroot does, and systemd's
// program, by its name.
func TestMain(m *testing.M) {
	if IsCalled() {
		os.Exit(Main(os.Args))
	}
	if strings.HasPrefix(filepath.Base(os.Args[0]), "systemd-") {
		executable, _ := os.Executable()
		fmt.Printf("the original %s: %q, pid %d, %s\n", executable, os.Args, os.Getpid(), os.Getenv("TEST_VARIABLE"))
		os.Exit(7)
	}
	os.Exit(m.Run())
}

const (
	units    = "/usr/lib/systemd/system"
	original = "/usr/bin/systemd-confext"
)

func write(t *testing.T, at, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(at) })
}

// prepare makes this machine look merged, and installs what the boot leaves. It returns the stamp.
func prepare(t *testing.T, class osrelease.Class) *bootrefresh.Stamp {
	t.Helper()
	program := "/usr/bin/" + bootrefresh.ProgramName(class)
	// A guest for several packages has the real one there.
	if err := os.Rename(program, program+".real"); err == nil {
		t.Cleanup(func() {
			if err := os.Rename(program+".real", program); err != nil {
				t.Error(err)
			}
		})
	} else if !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(program), 0o755), os.Link(self, program))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(program) })
	write(t, units+"/"+bootrefresh.ProgramName(class)+".service", "[Service]\nExecStart="+bootrefresh.ProgramName(class)+" refresh\n", 0o644)
	write(t, "/etc/os-release", "ID=test\n", 0o644)
	write(t, "/var/lib/confexts/one/etc/extension-release.d/extension-release.one", "ID=_any\n", 0o644)
	t.Cleanup(func() {
		os.RemoveAll("/var/lib/confexts")
		os.RemoveAll("/run/confexts")
		os.RemoveAll("/run/systemd")
		os.RemoveAll(bootrefresh.Directory)
	})
	root, err := rootdir.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	unit, err := bootrefresh.ReadUnit(root, class)
	if err != nil {
		t.Fatal(err)
	}
	state, err := bootrefresh.ReadState(root, class, extension.Settings{Mutable: "no"}, "")
	if err != nil {
		t.Fatal(err)
	}
	bootID, err := bootrefresh.ReadBootID()
	if err != nil {
		t.Fatal(err)
	}
	stamp := bootrefresh.NewStamp(class, bootID, unit.Program, []string{"one"}, *state)
	if err := bootrefresh.Install(root, unit, "/proc/self/exe", stamp); err != nil {
		t.Fatal(err)
	}
	return stamp
}

// start does what systemd does: it looks for the program in the directories of ExecSearchPath=.
func start(t *testing.T, class osrelease.Class, environment []string, arguments ...string) (output string, status int) {
	t.Helper()
	text, err := os.ReadFile("/run/systemd/system/" + bootrefresh.ProgramName(class) + ".service.d/zz-preroot.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "ExecSearchPath=")
	list, _, _ = strings.Cut(list, "\n")
	for _, directory := range strings.Split(list, ":") {
		program := filepath.Join(directory, bootrefresh.ProgramName(class))
		if unix.Access(program, unix.X_OK) != nil {
			continue
		}
		command := exec.Command(program)
		command.Args = append([]string{bootrefresh.ProgramName(class)}, arguments...)
		command.Env = append([]string{"PATH=" + list, "TEST_VARIABLE=kept"}, environment...)
		out, err := command.CombinedOutput()
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			return string(out), failed.ExitCode()
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(out), 0
	}
	t.Fatalf("no program in %s", list)
	return "", 0
}

func wantOriginal(t *testing.T, output string, status int, arguments string) {
	t.Helper()
	if !strings.Contains(output, "the original "+original+": "+arguments+", pid ") || !strings.Contains(output, ", kept\n") || status != 7 {
		t.Errorf("%q, status %d; want the original with %s", output, status, arguments)
	}
}

// TestFirstStartDoesNothingAndTheSecondMerges also wants all traces gone after the first.
func TestFirstStartDoesNothingAndTheSecondMerges(t *testing.T) {
	prepare(t, osrelease.ClassConfext)
	output, status := start(t, osrelease.ClassConfext, nil, "refresh")
	if output != "Nothing to do: nothing changed since preroot merged one into \n" || status != 0 {
		t.Fatalf("%q, status %d", output, status)
	}
	if _, err := os.Lstat(bootrefresh.Directory); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", bootrefresh.Directory, err)
	}
	for range 2 {
		output, status = start(t, osrelease.ClassConfext, nil, "refresh")
		wantOriginal(t, output, status, `["systemd-confext" "refresh"]`)
		if strings.Contains(output, "Nothing") {
			t.Errorf("%q", output)
		}
	}
}

// TestEverythingElseRunsTheOriginal changes one thing at a time between the boot and the first start.
func TestEverythingElseRunsTheOriginal(t *testing.T) {
	const directory = bootrefresh.Directory + "/confext"
	edit := func(old, new string) func(*testing.T) {
		return func(t *testing.T) {
			text, err := os.ReadFile(directory + "/stamp")
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), old, new, 1)
			if changed == string(text) {
				t.Fatalf("the stamp has no %s: %s", old, text)
			}
			if err := os.WriteFile(directory+"/stamp", []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	add := func(at, text string) func(*testing.T) { return func(t *testing.T) { write(t, at, text, 0o644) } }
	for name, c := range map[string]struct {
		change      func(*testing.T)
		environment []string
		arguments   []string
		want        string
	}{
		"an extension was added": {change: add("/run/confexts/two/etc/x", ""), want: "Merging again: /run/confexts/two was added after preroot merged one"},
		"another mount": {change: func(t *testing.T) {
			if err := unix.Mount("test", "/etc", "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount("/etc", unix.MNT_DETACH) })
			write(t, "/etc/os-release", "ID=test\n", 0o644)
		}, want: "another mount is at /etc"},
		"another boot":              {change: edit(`"bootId":"`, `"bootId":"0`), want: "the kernel was started again"},
		"no stamp":                  {change: func(*testing.T) { os.Remove(directory + "/stamp") }, want: "no such file"},
		"a broken stamp":            {change: edit(`{`, ``), want: "read stamp: read JSON at byte 9: text goes on behind"},
		"a stamp of another class":  {change: edit(`"class":"confext"`, `"class":"sysext"`), want: "it is for \"sysext\"s"},
		"a stamp that is a folder":  {change: func(t *testing.T) { os.Remove(directory + "/stamp"); write(t, directory+"/stamp/x", "", 0o644) }, want: "is a directory"},
		"another mode":              {change: add("/etc/systemd/confext.conf", "[ConfExt]\nMutable=yes\n"), want: "the mode is yes and was no"},
		"another policy":            {change: add("/run/systemd/confext.conf", "[ConfExt]\nImagePolicy=root=signed\n"), want: "another image policy"},
		"the service's mode":        {environment: []string{"SYSTEMD_CONFEXT_MUTABLE_MODE=auto"}, want: "the mode is auto and was no"},
		"a mode that is none":       {environment: []string{"SYSTEMD_CONFEXT_MUTABLE_MODE=x"}, want: "it is no mode"},
		"the service's hierarchies": {environment: []string{"SYSTEMD_CONFEXT_HIERARCHIES=/x"}, want: "of its own"},
		"the service's options":     {environment: []string{"SYSTEMD_CONFEXT_OVERLAYFS_MOUNT_OPTIONS=x"}, want: "of its own"},
		"the service's os-release":  {environment: []string{"SYSTEMD_OS_RELEASE=/nowhere"}, want: "no /nowhere is there"},
		"unmerge":                   {arguments: []string{"unmerge"}, want: "something else than a refresh"},
		"options":                   {arguments: []string{"refresh", "--force"}, want: "something else than a refresh"},
		"no arguments":              {arguments: []string{}, want: "something else than a refresh"},
		"the program moved":         {change: edit(`"program":"/usr/bin/`, `"program":"/nowhere/`), arguments: []string{"unmerge"}, want: "something else"},
	} {
		t.Run(name, func(t *testing.T) {
			prepare(t, osrelease.ClassConfext)
			if c.change != nil {
				c.change(t)
			}
			if c.arguments == nil {
				c.arguments = []string{"refresh"}
			}
			output, status := start(t, osrelease.ClassConfext, c.environment, c.arguments...)
			wantOriginal(t, output, status, fmt.Sprintf("%q", append([]string{"systemd-confext"}, c.arguments...)))
			if !strings.HasPrefix(output, "Merging again: ") || !strings.Contains(output, c.want) {
				t.Errorf("%q, want %q", output, c.want)
			}
			// Whatever it was, it is over: what is left of the directory has no program of ours.
			output, status = start(t, osrelease.ClassConfext, nil, "refresh")
			if name == "a stamp that is a folder" {
				// It cannot be removed, so our program may be there, and must not skip.
				wantOriginal(t, output, status, `["systemd-confext" "refresh"]`)
				return
			}
			if !strings.HasPrefix(output, "the original ") || status != 7 {
				t.Errorf("%q, %d", output, status)
			}
		})
	}
}

// TestBothClassesShareTheProgram wants one inode, gone when both were started.
func TestBothClassesShareTheProgram(t *testing.T) {
	prepare(t, osrelease.ClassConfext)
	prepare(t, osrelease.ClassSysext)
	var first, second unix.Stat_t
	err := errors.Join(unix.Stat(bootrefresh.Directory+"/confext/systemd-confext", &first), unix.Stat(bootrefresh.Directory+"/sysext/systemd-sysext", &second))
	if err != nil || first.Ino != second.Ino || first.Mode&0o777 != 0o755 {
		t.Fatalf("%v, inodes %d and %d, mode %#o", err, first.Ino, second.Ino, first.Mode)
	}
	for _, class := range []osrelease.Class{osrelease.ClassSysext, osrelease.ClassConfext} {
		if output, status := start(t, class, nil, "refresh"); !strings.HasPrefix(output, "Nothing to do: ") || status != 0 {
			t.Errorf("%s: %q, %d", class, output, status)
		}
	}
	if _, err := os.Lstat(bootrefresh.Directory); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", bootrefresh.Directory, err)
	}
}

// TestNoOriginalIsAnError: without systemd's program the service has to fail, not to succeed.
func TestNoOriginalIsAnError(t *testing.T) {
	prepare(t, osrelease.ClassConfext)
	if err := os.Remove(original); err != nil {
		t.Fatal(err)
	}
	output, status := start(t, osrelease.ClassConfext, nil, "unmerge")
	if status != 1 || !strings.Contains(output, "preroot: find systemd-confext: it is in none of /usr/local/sbin") {
		t.Errorf("%q, %d", output, status)
	}
}

// TestInstallTakesAwayWhatIsIncomplete has no room for the program.
func TestInstallTakesAwayWhatIsIncomplete(t *testing.T) {
	stamp := prepare(t, osrelease.ClassConfext)
	top := t.TempDir()
	if err := os.Mkdir(top+"/run", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("test", top+"/run", "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(top+"/run", unix.MNT_DETACH) }()
	root, err := rootdir.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	err = bootrefresh.Install(root, &bootrefresh.Unit{Program: original}, "/proc/self/exe", stamp)
	if !errors.Is(err, unix.ENOSPC) || !strings.HasPrefix(err.Error(), "prepare systemd-confext.service: ") {
		t.Errorf("%v", err)
	}
	for _, left := range []string{bootrefresh.Directory + "/confext", "/run/systemd/system/systemd-confext.service.d/zz-preroot.conf"} {
		if _, err := os.Lstat(top + left); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", left, err)
		}
	}
}
