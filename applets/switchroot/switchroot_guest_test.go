//go:build guest

package switchroot

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// callVariable has what a child of the test program shall do as PID 1 of a namespace: "PREPARATION ARGUMENT...", with a
// semicolon between calls.
const callVariable = "PREROOT_SWITCH_CALL"

// init is what the new root has as its init: this program again.
const initPath = "/usr/lib/init"

func TestMain(m *testing.M) {
	call, isChild := os.LookupEnv(callVariable)
	switch {
	case filepath.Clean(os.Args[0]) == initPath:
		showWorld()
	case isChild:
		preparation, lines, _ := strings.Cut(call, " ")
		makeInitramfs()
		preparations[preparation]()
		before := mountTable()
		for line := range strings.SplitSeq(lines, ";") {
			status := Main(append([]string{"switch_root"}, strings.Fields(line)...))
			fmt.Printf("status %d, mounts changed: %v\n", status, before != mountTable())
		}
	default:
		os.Exit(m.Run())
	}
}

const ballast = 64 << 20

// makeInitramfs makes the root directory a tmpfs as an initrd leaves it: with mounts, files, and the next root.
func makeInitramfs() {
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	self, err := os.Open("/proc/self/exe")
	must(err)
	at, err := os.MkdirTemp("/tmp", "initramfs")
	must(err)
	must(unix.Mount("initramfs", at, "tmpfs", 0, "mode=0755"))
	must(unix.Chroot(at))
	must(unix.Chdir("/"))
	for _, mount := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/sysroot"}} {
		must(os.Mkdir(mount[1], 0o755))
		must(unix.Mount(mount[0], mount[1], mount[0], 0, ""))
	}
	must(os.WriteFile("/ballast", nil, 0o600))
	must(os.WriteFile("/run/kept", []byte("kept"), 0o600))
	must(os.WriteFile("/dev/kept", nil, 0o600))
	must(os.MkdirAll("/sysroot/usr/lib", 0o755))
	must(os.MkdirAll("/sysroot/proc", 0o555))
	must(os.WriteFile("/sysroot/file", nil, 0o600))
	must(os.Symlink(initPath, "/sysroot/init"))
	program, err := os.OpenFile("/sysroot"+initPath, os.O_CREATE|os.O_WRONLY, 0o755)
	must(err)
	_, err = io.Copy(program, self)
	must(err)
	must(program.Close())
	must(self.Close())
}

// preparations are what a case wants besides.
var preparations = map[string]func(){
	"plain": func() {},
	"large": func() { must(os.WriteFile("/ballast", make([]byte, ballast), 0o600)) },
	"shared": func() {
		must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""))
	},
	"own-run": func() {
		must(os.Mkdir("/sysroot/run", 0o755))
		must(unix.Mount("tmpfs", "/sysroot/run", "tmpfs", 0, ""))
		must(os.WriteFile("/sysroot/run/kept", []byte("its own"), 0o600))
	},
	"descriptor": func() {
		_, err := unix.Open("/ballast", unix.O_RDONLY, 0) // stays open across exec
		must(err)
	},
	"no-proc": func() { must(unix.Unmount("/proc", unix.MNT_DETACH)) },
	"programs": func() {
		write := func(name, text string, mode os.FileMode) { must(os.WriteFile("/sysroot/"+name, []byte(text), mode)) }
		write("plain", "#!"+initPath, 0o644)
		write("text", "exit 0\n", 0o755)
		write("orphan", "#!/bin/nothing -e\n", 0o755)
		write("loop", "#!/loop\n", 0o755)
		foreign, err := os.ReadFile("/sysroot" + initPath)
		must(err)
		foreign[18]++
		must(os.WriteFile("/sysroot/foreign", foreign[:4096], 0o755))
		must(os.Symlink("/gone", "/sysroot/dangling"))
		// Outside of the new root there is one.
		must(os.Mkdir("/bin", 0o755))
		must(os.WriteFile("/bin/init", []byte("#!/init"), 0o755))
	},
	"read-only": func() { must(unix.Mount("", "/sysroot", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")) },
	"not-a-mount": func() {
		must(unix.Unmount("/sysroot", unix.MNT_DETACH))
	},
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
}

func mountTable() string {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// shmem is what all tmpfs of the machine take, in bytes (proc_meminfo(5)).
func shmem() (bytes int) {
	text, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := strings.Cut(string(text), "\nShmem:")
	_, _ = fmt.Sscan(rest, &bytes)
	return bytes << 10
}

// showWorld prints what init finds.
func showWorld() {
	kept, _ := os.ReadFile("/run/kept")
	_, lost := os.Stat("/dev/kept")
	var names []string
	entries, _ := os.ReadDir("/")
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	var descriptors []string
	for fd := range 64 {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		// Go's own poller and the directory that is read do not count.
		if err == nil && fd > 2 && !strings.HasPrefix(target, "anon_inode:") {
			descriptors = append(descriptors, target)
		}
	}
	var mounts []string
	for line := range strings.Lines(mountTable()) {
		mounts = append(mounts, strings.Fields(line)[4])
	}
	slices.Sort(mounts)
	fmt.Printf("pid %d, arguments %q, variable %q\n", os.Getpid(), os.Args[1:], os.Getenv("VARIABLE"))
	fmt.Printf("/: %q, mounts %q, descriptors %q\n", names, mounts, descriptors)
	fmt.Printf("/run: %s, /dev: %v\n", kept, lost)
	fmt.Printf("shmem %d\n", shmem())
}

// call runs the applet as PID 1 of a namespace, in an initramfs of its own.
func call(t *testing.T, line string) (output string, status unix.WaitStatus) {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), callVariable+"="+line, "VARIABLE=of the kernel")
	command.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	text, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), unix.WaitStatus(command.ProcessState.Sys().(syscall.WaitStatus))
}

func TestSwitch(t *testing.T) {
	const root = `"dev" "file" "init" "proc" "run" "sys" "usr"`
	for name, c := range map[string]struct{ line, kept, mounts string }{
		"plain":         {"large /sysroot /init one --two", "kept", `"/" "/dev" "/proc" "/run" "/sys"`},
		"shared mounts": {"shared /sysroot /init one --two", "kept", `"/" "/dev" "/proc" "/run" "/sys"`},
		"a /run there":  {"own-run /sysroot /init one --two", "its own", `"/" "/dev" "/proc" "/run" "/sys"`},
		"a descriptor":  {"descriptor /sysroot /init one --two", "kept", `"/" "/dev" "/proc" "/run" "/sys"`},
		"no /proc":      {"no-proc sysroot/../sysroot/. /usr/lib/../../init one --two", "kept", `"/" "/dev" "/proc" "/run" "/sys"`},
	} {
		t.Run(name, func(t *testing.T) {
			before := shmem()
			output, status := call(t, strings.Replace(c.line, "/init", initPath, 1))
			if !status.Exited() || status.ExitStatus() != 0 {
				t.Fatalf("%v: %s", status, output)
			}
			for _, want := range []string{
				`pid 1, arguments ["one" "--two"], variable "of the kernel"`,
				"/: [" + root + "], mounts [" + c.mounts + "], descriptors []", "/run: " + c.kept + ", /dev: <nil>",
			} {
				if !strings.Contains(output, want+"\n") {
					t.Errorf("%q is not in:\n%s", want, output)
				}
			}
			var after int
			_, rest, _ := strings.Cut(output, "shmem ")
			if _, err := fmt.Sscan(rest, &after); err != nil {
				t.Fatal(err)
			}
			program, err := os.Stat("/proc/self/exe")
			if err != nil {
				t.Fatal(err)
			}
			// What is there more than before is the new root with its init.
			t.Logf("tmpfs: %d MiB before, %d MiB with the initramfs of %d MiB gone", before>>20, after>>20, ballast>>20)
			if more := int64(after-before) - program.Size(); more > ballast/8 {
				t.Errorf("%d bytes of the initramfs are left", more)
			}
		})
	}
}

// What would not work is found before anything is changed.
func TestCheck(t *testing.T) {
	type check struct{ arguments, want string }
	for preparation, checks := range map[string][]check{
		"plain": {
			{"/sysroot " + initPath, ""},
			{"/ /init", "switch root: / is the root already"},
			{"/sysroot/usr /init", "switch root: /sysroot/usr is not a mount point"},
			{"/gone /init", "lstat /gone: no such file or directory"},
		},
		"programs": {
			{"/sysroot /init", ""},
			{"/sysroot /gone", "find init: open /sysroot/gone: no such file or directory"},
			{"/sysroot /bin/init", "find init: open /sysroot/bin/init: no such file or directory"},
			{"/sysroot /dangling", "find init: open /sysroot/dangling: no such file or directory"},
			{"/sysroot /usr", "find init: /sysroot/usr is not an executable file"},
			{"/sysroot /plain", "find init: /sysroot/plain is not an executable file"},
			{"/sysroot /text", "find init: /sysroot/text is neither an ELF program nor a script with an interpreter"},
			{"/sysroot /orphan", "find init: /sysroot/orphan needs the interpreter /bin/nothing: open /sysroot/bin/nothing: no such file or directory"},
			{"/sysroot /loop", "has too many interpreters"},
			{"/sysroot /foreign", "find init: /sysroot/foreign is a program for another machine (ELF machine 63)"},
		},
		"not-a-mount": {{"/sysroot /init", "switch root: /sysroot is not a mount point"}},
	} {
		var lines []string
		for _, c := range checks {
			lines = append(lines, "--check "+c.arguments)
		}
		output, _ := call(t, preparation+" "+strings.Join(lines, ";"))
		said := strings.SplitAfter(output, "mounts changed: false\n")
		if len(said) != len(checks)+1 {
			t.Fatalf("%s: %d answers to %d calls:\n%s", preparation, len(said)-1, len(checks), output)
		}
		for i, c := range checks {
			status := "status 0, "
			if c.want != "" {
				status = "status 1, "
			}
			if !strings.Contains(said[i], c.want) || !strings.Contains(said[i], status) || strings.Count(said[i], "\n") > 2 {
				t.Errorf("%s, %s: want %q, got\n%s", preparation, c.arguments, c.want, said[i])
			}
		}
	}
}

// PID 1 must not end: it says why, and restarts, which is the end of a namespace.
func TestFailureOfPID1(t *testing.T) {
	const setting = "/proc/sys/kernel/panic"
	old, err := os.ReadFile(setting)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.WriteFile(setting, old, 0) }()
	if err := os.WriteFile(setting, []byte("1\n"), 0); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"plain /sysroot /gone":           "switch_root: find init: open /sysroot/gone: no such file or directory\n",
		"plain /sysroot":                 "switch_root: not enough arguments\nTry 'switch_root --help' for more information.\n",
		"not-a-mount /sysroot /init":     "switch_root: switch root: /sysroot is not a mount point\n",
		"read-only /sysroot " + initPath: "switch_root: make mount point: mkdir /sysroot/dev: read-only file system\n",
		"read-only / " + initPath:        "switch_root: switch root: / is the root already\n",
	} {
		output, status := call(t, line)
		if output != want || !status.Signaled() {
			t.Errorf("%s: %v\n%s", line, status, output)
		}
	}
}

// Typed into a shell it would delete the initramfs below the feet of PID 1.
func TestOnlyPID1Switches(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(root, unix.MNT_DETACH)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "init"), self, 0o755); err != nil {
		t.Fatal(err)
	}
	err = run(options{newRoot: root, program: []string{"/init"}})
	if err == nil || !strings.HasPrefix(err.Error(), "only PID 1 can hand over") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat("/init"); err != nil {
		t.Errorf("the guest's own init is gone: %v", err)
	}
}
