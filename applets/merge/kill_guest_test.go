//go:build guest

package merge

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	os.Exit(m.Run())
}

// changing are the kernel calls that change what is mounted, or a directory.
var changing = []uint32{
	unix.SYS_UNSHARE, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_MOVE_MOUNT,
	unix.SYS_OPEN_TREE, unix.SYS_MOUNT_SETATTR, unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_UTIMENSAT,
}

// traceChanges has every changing call of this process, in all of its threads, stop for the tracer (seccomp(2)).
func traceChanges() error {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for i, number := range changing {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jt: uint8(len(changing) - i)})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// runAndKill makes a call in a process of its own and kills that before its changing call number limit. It reports false if
// there are fewer.
func runAndKill(t *testing.T, limit int, arguments string) (killed bool) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), childVariable+"="+arguments)
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
			if status.Exited() && status.ExitStatus() != 0 {
				t.Fatalf("the call failed: %d", status.ExitStatus())
			}
			return status.Signaled()
		case first && pid == child:
			first = false
			options := unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
			if err := unix.PtraceSetOptions(pid, options); err != nil {
				t.Fatal(err)
			}
			_ = unix.PtraceCont(pid, 0)
		case status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
			if calls++; calls == limit {
				_ = unix.Kill(child, unix.SIGKILL)
				continue
			}
			_ = unix.PtraceCont(pid, 0)
		case status.StopSignal() == unix.SIGTRAP || status.StopSignal() == unix.SIGSTOP:
			_ = unix.PtraceCont(pid, 0)
		default:
			_ = unix.PtraceCont(pid, int(status.StopSignal()))
		}
	}
}

// Killed before any of its kernel calls, a call leaves the hierarchy completely old or completely new, and the next one
// ends where it would have.
func TestKilledAnywhere(t *testing.T) {
	w := newWorld(t)
	before := func(state string) {
		w.ours("unmerge")
		w.check(os.RemoveAll(confexts + "/one"))
		w.check(os.RemoveAll(confexts + "/two"))
		w.add("one")
		if state == "merged" {
			w.ours("merge", w.mode)
		}
		w.add("two")
	}
	for _, mode := range []string{"no", "yes"} {
		w.mode = "--mutable=" + mode
		for _, c := range []struct{ name, state, call, old, new string }{
			{"merge", "bare", "merge", "host missing missing", "two one two"},
			{"refresh", "merged", "refresh", "one one missing", "two one two"},
			{"unmerge", "merged", "unmerge", "one one missing", "host missing missing"},
		} {
			limit := 1
			for ; ; limit++ {
				before(c.state)
				if !runAndKill(t, limit, c.call+" "+w.mode) {
					break
				}
				if got := w.state(); got != c.old && got != c.new {
					t.Errorf("%s, mode %s, killed before call %d: %q is neither %q nor %q", c.name, mode, limit, got, c.old, c.new)
				}
				w.ours("refresh", w.mode)
				w.is(w.state(), "two one two")
				if count := len(mountsAt(t, w.hierarchy)); count != 1 {
					t.Errorf("%s, mode %s, killed before call %d: %d mounts are left", c.name, mode, limit, count)
				}
				w.ours("unmerge")
				if mountapi.IsMountPoint(w.hierarchy) {
					t.Fatalf("%s, mode %s, killed before call %d: a mount is left", c.name, mode, limit)
				}
				w.is(w.state(), "host missing missing")
			}
			if limit < 5 {
				t.Errorf("%s made only %d calls", c.name, limit)
			}
			t.Logf("%s, mode %s: killed before each of %d calls", c.name, mode, limit-1)
		}
		w.ours("merge", w.mode)
		w.ours("unmerge")
		if left, _ := filepath.Glob("/var/lib/extensions.mutable/.systemd-*"); len(left) > 1 {
			t.Errorf("work directories are left: %q", left)
		}
	}
}

// state is what shows of the hierarchy.
func (w *world) state() string {
	return w.read("both") + " " + w.read("one") + " " + w.read("two")
}
