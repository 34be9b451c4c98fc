//go:build guest

package merge

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
)

// childVariable has the arguments of a call that the test program makes instead of running tests, to be killed on the way.
const childVariable = "PREROOT_KILL_CHILD"

func TestMain(m *testing.M) {
	if arguments, isChild := os.LookupEnv(childVariable); isChild {
		if err := traceChanges(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(Main(append([]string{"systemd-confext"}, strings.Fields(arguments)...)))
	}
	if run := helpers[os.Getenv(helperVariable)]; run != nil {
		run(os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// changing are the kernel calls that change what is mounted, a file, a directory, a loop device or a mapped device. Between two of
// them a call to be killed changes nothing that outlives it.
var changing = []struct {
	number uint32
	name   string
}{
	{unix.SYS_UNSHARE, "unshare"}, {unix.SYS_MOUNT, "mount"}, {unix.SYS_UMOUNT2, "umount2"}, {unix.SYS_FSOPEN, "fsopen"},
	{unix.SYS_FSCONFIG, "fsconfig"}, {unix.SYS_FSMOUNT, "fsmount"}, {unix.SYS_MOVE_MOUNT, "move_mount"}, {unix.SYS_OPEN_TREE, "open_tree"},
	{unix.SYS_MOUNT_SETATTR, "mount_setattr"}, {unix.SYS_MKDIRAT, "mkdirat"}, {unix.SYS_UNLINKAT, "unlinkat"}, {unix.SYS_SYMLINKAT, "symlinkat"},
	{unix.SYS_RENAMEAT2, "renameat2"}, {unix.SYS_FCHMOD, "fchmod"}, {unix.SYS_FCHMODAT, "fchmodat"}, {unix.SYS_UTIMENSAT, "utimensat"},
	{unix.SYS_IOCTL, "ioctl"}, {unix.SYS_FLOCK, "flock"}, {unix.SYS_WRITE, "write"}, {unix.SYS_OPENAT, "openat"},
}

// traceChanges has every changing call of this process, in all of its threads, stop for the tracer (seccomp(2)), which is told the
// place in the list. Of openat(2) only those stop that may make a file.
func traceChanges() error {
	jump := func(condition uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | condition | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	result := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	const offsetNumber, offsetThirdArgument = 0, 16 + 2*8
	filter := []unix.SockFilter{load(offsetNumber)}
	for i, call := range changing {
		trace := result(unix.SECCOMP_RET_TRACE | uint32(i))
		if call.number == unix.SYS_OPENAT {
			filter = append(filter, jump(unix.BPF_JEQ, call.number, 0, 4), load(offsetThirdArgument),
				jump(unix.BPF_JSET, unix.O_CREAT, 0, 1), trace, result(unix.SECCOMP_RET_ALLOW))
			continue
		}
		filter = append(filter, jump(unix.BPF_JEQ, call.number, 0, 1), trace)
	}
	filter = append(filter, result(unix.SECCOMP_RET_ALLOW))
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// traced is how a call ended.
type traced struct {
	// stopped is the name of the kernel call at which something was done to it, "" if it made fewer.
	stopped string
	killed  bool
	code    int
	output  string
}

// runTraced makes a call in a process of its own. Before its changing kernel call number limit, stop is called with the thread that
// makes it.
func runTraced(t *testing.T, limit int, arguments string, stop func(pid int) error) (result traced) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	output, err := os.CreateTemp("", "output")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	defer os.Remove(output.Name())
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), childVariable+"="+arguments)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	child, calls := command.Process.Pid, 0
	for first := true; ; {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case status.Exited() || status.Signaled():
			if pid != child {
				continue
			}
			text, err := os.ReadFile(output.Name())
			if err != nil {
				t.Fatal(err)
			}
			result.killed, result.code, result.output = status.Signaled(), status.ExitStatus(), string(text)
			return result
		case first && pid == child:
			first = false
			options := unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
			if err := unix.PtraceSetOptions(pid, options); err != nil {
				t.Fatal(err)
			}
			_ = unix.PtraceCont(pid, 0)
		case status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
			if calls++; calls == limit {
				if index, err := unix.PtraceGetEventMsg(pid); err == nil && int(index) < len(changing) {
					result.stopped = changing[index].name
				}
				if err := stop(pid); err != nil {
					t.Fatal(err)
				}
			}
			_ = unix.PtraceCont(pid, 0)
		case status.StopSignal() == unix.SIGTRAP || status.StopSignal() == unix.SIGSTOP:
			_ = unix.PtraceCont(pid, 0)
		default:
			_ = unix.PtraceCont(pid, int(status.StopSignal()))
		}
	}
}

// runAndKill makes a call and kills it before its changing kernel call number limit, which it names. It reports false if there are fewer.
func runAndKill(t *testing.T, limit int, arguments string) (name string, killed bool) {
	t.Helper()
	result := runTraced(t, limit, arguments, func(pid int) error { return unix.Kill(pid, unix.SIGKILL) })
	if !result.killed && result.code != 0 {
		t.Fatalf("%s failed: %s", arguments, result.output)
	}
	return result.stopped, result.killed
}

// killing is a world in which calls are killed: a hierarchy is merged from "one", and then "two" is there as well.
type killing struct {
	*world
	add func(name string)
	// besides is checked after each kill and after each call that follows, if it is not nil.
	besides func(at string)
}

// What shows of a hierarchy: what "both" says, and whether there are "one" and "two".
const (
	bare    = "host missing missing"
	withOne = "one one missing"
	withTwo = "two one two"
)

// nextCall is the number of the kernel call that is the last one, or fails, after this one: each has its turn, or, with -test.short, each of
// the first four and then every ninth. scripts/faults does all.
func nextCall(number int) int {
	if testing.Short() && number >= 4 {
		return number + 9
	}
	return number + 1
}

// killAnywhere kills a call before each of its changing kernel calls. Every hierarchy is completely as before or completely new
// then, the next call ends where this one would have, and nothing is left of either: devices are those in use before.
func (k killing) killAnywhere(devices []string, call, before, after string, atLeast int) {
	k.Helper()
	seen := map[string]bool{}
	limit := 1
	for ; ; limit = nextCall(limit) {
		k.ours("unmerge")
		k.check(os.RemoveAll(confexts))
		k.check(os.MkdirAll(confexts, 0o755))
		k.add("one")
		if before == withOne {
			k.ours("merge", k.mode)
		}
		k.add("two")
		name, killed := runAndKill(k.T, limit, call+" "+k.mode)
		if !killed {
			break
		}
		seen[name] = true
		at := fmt.Sprintf("%s, mode %s, killed before call %d, %s", call, k.mode, limit, name)
		for _, hierarchy := range k.hierarchies() {
			if got := k.state(hierarchy); got != before && got != after {
				k.Errorf("%s: %s shows %q, which is neither %q nor %q", at, hierarchy, got, before, after)
			}
		}
		k.alsoHolds(at)
		output := k.ours("refresh", k.mode)
		k.alsoHolds(at)
		for _, hierarchy := range k.hierarchies() {
			if got := k.state(hierarchy); got != withTwo {
				k.Errorf("%s: after the next refresh %s shows %q; it said:\n%s", at, hierarchy, got, output)
			}
			if count := len(mountsAt(k.T, hierarchy)); count != 1 {
				k.Errorf("%s: %d mounts are left at %s", at, count, hierarchy)
			}
		}
		k.ours("unmerge")
		k.alsoHolds(at)
		for _, hierarchy := range k.hierarchies() {
			if mountapi.IsMountPoint(hierarchy) || k.state(hierarchy) != bare {
				k.Fatalf("%s: unmerged, and %s shows %q", at, hierarchy, k.state(hierarchy))
			}
		}
		if left := leftDevices(k.T, devices); len(left) > 0 {
			k.Fatalf("%s: devices are left: %q", at, left)
		}
	}
	if limit <= atLeast {
		k.Errorf("%s made only %d calls", call, limit-1)
	}
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	k.Logf("%s, mode %s: %d calls, killed before: %s", call, k.mode, limit-1, strings.Join(names, " "))
}

func (k killing) alsoHolds(at string) {
	if k.besides != nil {
		k.besides(at)
	}
}

func (k killing) killAll(atLeast int) {
	devices := usedDevices(k.T)
	k.killAnywhere(devices, "merge", bare, withTwo, atLeast)
	k.killAnywhere(devices, "refresh", withOne, withTwo, atLeast)
	k.killAnywhere(devices, "unmerge", withOne, bare, 3)
}

// Two hierarchies that take writes, a verity image, a directory, and a mount below a hierarchy, which is there all the time.
func TestKilledAnywhere(t *testing.T) {
	w := newWorld(t, "/srv/etc", "/srv/opt")
	w.mode = "--mutable=yes"
	w.write("/srv/etc/machine-id", "uninitialized\n")
	w.write("/run/machine-id", "abc\n")
	w.check(unix.Mount("/run/machine-id", "/srv/etc/machine-id", "", unix.MS_BIND, ""))
	one := w.image("one")
	add := func(name string) {
		if name == "one" {
			w.write(confexts+"/one.raw", string(one))
		} else {
			w.add(name)
		}
	}
	killing{w, add, func(at string) {
		if got := w.read("machine-id"); got != "abc" {
			w.Errorf("%s: machine-id shows %q", at, got)
		}
	}}.killAll(100)
	if count := len(mountsAt(t, "/srv/etc/machine-id")); count != 1 {
		t.Errorf("%d mounts at machine-id", count)
	}
	w.ours("merge", w.mode)
	w.ours("unmerge")
	if left, _ := filepath.Glob("/var/lib/extensions.mutable/.systemd-*"); len(left) != 0 {
		t.Errorf("work directories are left: %q", left)
	}
}

// In the usual mode, which takes no writes.
func TestKilledAnywhereReadOnly(t *testing.T) {
	w := newWorld(t)
	w.mode = "--mutable=no"
	killing{w, func(name string) { w.add(name) }, nil}.killAll(20)
}

// state is what shows of a hierarchy.
func (w *world) state(hierarchy string) string {
	return w.readIn(hierarchy, "both") + " " + w.readIn(hierarchy, "one") + " " + w.readIn(hierarchy, "two")
}
