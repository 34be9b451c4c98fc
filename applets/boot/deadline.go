package boot

import (
	"fmt"
	"runtime"
	"time"

	"github.com/preroot/preroot/internal/sentinel"
)

const (
	// earlyTime bounds what is done before the settings are known: mounts of the kernel's file systems, and reading files of the image.
	earlyTime = 60 * time.Second
	// showTime bounds each of the two ways in which a failure is shown: the kernel's log with the report, and the consoles. Each console has
	// consoleTime of it, and the firmware keepTime.
	showTime = 20 * time.Second
)

// setDeadline gives the boot so much time from now on. Whatever hangs then, the machine restarts. Only the main goroutine sets it.
func (b *boot) setDeadline(limit time.Duration) {
	if b.deadline != nil {
		b.deadline.Stop()
	}
	b.deadline = time.AfterFunc(limit, b.guarded(func() { b.fail(&tooLongError{limit}) }))
}

// timeLimit is how long the boot may take once the settings are known: the wait for devices, and all else.
func (b *boot) timeLimit() time.Duration { return b.plan.Timeout + b.failure.WorkTime }

// entriesTime bounds the wait for the devices of all entries of fstab together: at least half of the time for all but the root's
// devices is left for the rest.
func (b *boot) entriesTime() time.Duration { return min(entriesWait, b.failure.WorkTime/2) }

// keepClock makes sure that the deadline is heard while execve(2) reads the next init, which a disk may never answer: a Go program does not
// give the only processor that it uses to somebody else meanwhile.
func keepClock() {
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
}

// errLate says that something was not waited for any longer.
const errLate = sentinel.Error("it took too long")

// within runs what must not take longer than a time, and goes on without it then.
func within(limit time.Duration, what string, run func() error) error {
	done := make(chan error, 1)
	go func() { done <- run() }()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return fmt.Errorf("%s: %w: more than %v", what, errLate, limit)
	}
}
