package apply

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// highestPriority is the lowest nice value (setpriority(2)).
const highestPriority = -20

// RaisePriority gives all threads of this process the highest priority, which those that start later inherit: right after
// the start of the kernel its threads that test the algorithms of the crypto API want the processors for a second, and
// nobody needs most of their results before the root's own init runs. It needs /proc.
//
// The function that it returns gives the calling goroutine, which is locked to its thread from then on, the old priority
// back: call it before the thread becomes another program.
func RaisePriority() (restore func() error, err error) {
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("read own priority: %w", err)
	}
	raised := map[string]bool{}
	// A thread that is started meanwhile has the priority of the one that starts it.
	for again := true; again; {
		again = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return nil, fmt.Errorf("list own threads: %w", err)
		}
		for _, thread := range threads {
			if raised[thread.Name()] {
				continue
			}
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return nil, fmt.Errorf("list own threads: %w", err)
			}
			if err := unix.Setpriority(unix.PRIO_PROCESS, id, highestPriority); err != nil && !errors.Is(err, unix.ESRCH) {
				return nil, fmt.Errorf("raise priority of a thread: %w", err)
			}
			raised[thread.Name()], again = true, true
		}
	}
	return func() error {
		runtime.LockOSThread()
		// The kernel's call returns 20 minus the nice value.
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 20-before); err != nil {
			return fmt.Errorf("lower priority: %w", err)
		}
		return nil
	}, nil
}
