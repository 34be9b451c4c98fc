package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tracedOptions have the tracer told of the calls of PID 1, and of all that it starts.
const tracedOptions = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK

// stopAtCalls has the calling thread, and what it becomes and starts, stop for the tracer at the calls of the list.
func stopAtCalls() error {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for i, c := range calls {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: c.number, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE | uint32(i)})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	list := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&list))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// inject carries out an order. It goes on for as long as PID 1 lives: its calls would fail without a tracer.
func inject(word string) error {
	o, err := parseOrder(word)
	if err != nil {
		return errors.Join(err, ready())
	}
	if err := attach(); err != nil {
		return errors.Join(err, ready())
	}
	if err := ready(); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		signal := 0
		switch cause := status.TrapCause(); {
		case !status.Stopped():
			continue
		case cause == unix.PTRACE_EVENT_SECCOMP:
			goesOn, err := o.stopped(pid)
			if err != nil {
				say("%v", err)
			}
			if !goesOn {
				continue
			}
		case cause <= 0:
			signal = int(status.StopSignal())
		}
		_ = unix.PtraceCont(pid, signal)
	}
}

// attach makes this thread the tracer of PID 1.
func attach() error {
	if err := unix.PtraceSeize(1); err != nil {
		return fmt.Errorf("ptrace: %w", err)
	}
	if err := unix.PtraceInterrupt(1); err != nil {
		return fmt.Errorf("ptrace: %w", err)
	}
	if _, err := unix.Wait4(1, nil, unix.WALL, nil); err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	if err := unix.PtraceSetOptions(1, tracedOptions); err != nil {
		return fmt.Errorf("ptrace: %w", err)
	}
	return unix.PtraceCont(1, 0)
}

// stopped does what the order says to the thread that has stopped at a call. It reports whether the thread goes on.
func (o *order) stopped(pid int) (goesOn bool, err error) {
	index, err := unix.PtraceGetEventMsg(pid)
	if err != nil || int(index) >= len(calls) {
		return true, err
	}
	var registers unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &registers); err != nil {
		return true, err
	}
	c := calls[index]
	value := c.read(pid, &registers)
	if !o.see(c.name, value) {
		return true, nil
	}
	say("%s at %s %s", o.kind, c.name, value)
	switch o.kind {
	case stall:
		return false, nil
	case kill:
		registers.Orig_rax, registers.Rdi = unix.SYS_EXIT_GROUP, 9
	default:
		errno := unix.EIO
		registers.Orig_rax, registers.Rax = ^uint64(0), uint64(-int64(errno))
	}
	return true, unix.PtraceSetRegs(pid, &registers)
}

// read returns the argument that tells a call from others, as it stands in an order.
func (c call) read(pid int, registers *unix.PtraceRegs) string {
	argument := []uint64{registers.Rdi, registers.Rsi, registers.Rdx}[c.argument]
	switch c.value {
	case number:
		return formatNumber(uint64(uint32(argument)))
	case openFile:
		name, err := os.Readlink(fmt.Sprintf("/proc/1/fd/%d", argument))
		if err != nil {
			return ""
		}
		return path.Base(name)
	}
	text := make([]byte, 256)
	// It may end at the end of what is mapped.
	n, _ := unix.PtracePeekData(pid, uintptr(argument), text)
	text, _, _ = bytes.Cut(text[:n], []byte{0})
	return string(text)
}
