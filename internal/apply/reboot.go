package apply

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// panicTimeout is the kernel's kernel.panic setting: seconds until the machine
// restarts after a panic, 0 for never, negative for at once.
const panicTimeout = "/proc/sys/kernel/panic"

// RestartOnPanic makes sure that a panic before the switch (dm-verity's, above
// all) ends in a restart and not in a machine that stands still. A setting that is there stays. The
// returned function puts the old one back.
func RestartOnPanic(seconds string) (restore func()) {
	old, err := os.ReadFile(panicTimeout)
	if err != nil || strings.TrimSpace(string(old)) != "0" {
		return func() {}
	}
	_ = os.WriteFile(panicTimeout, []byte(seconds+"\n"), 0)
	return func() { _ = os.WriteFile(panicTimeout, old, 0) }
}

// syncTime bounds the wait for dirty data: a disk that does not answer must not
// keep the machine from restarting.
const syncTime = 15 * time.Second

// Reboot writes what is in memory to disk and restarts the machine. It returns
// only if the kernel refuses.
func Reboot() error { return end(unix.LINUX_REBOOT_CMD_RESTART) }

// PowerOff does the same and switches the machine off.
func PowerOff() error { return end(unix.LINUX_REBOOT_CMD_POWER_OFF) }

// Halt does the same and leaves the machine standing still.
func Halt() error { return end(unix.LINUX_REBOOT_CMD_HALT) }

func end(how int) error {
	written := make(chan struct{})
	go func() {
		unix.Sync()
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(syncTime):
	}
	return unix.Reboot(how)
}

// PanicDelay returns how long a failure shall be readable: what panic= on the
// kernel command line says, or usual if it is not given.
func PanicDelay(usual time.Duration) time.Duration {
	text, err := os.ReadFile(panicTimeout)
	if err != nil {
		return usual
	}
	seconds, err := strconv.Atoi(strings.TrimSpace(string(text)))
	const longest = 3600
	switch {
	case err != nil || seconds == 0:
		return usual
	case seconds < 0:
		return 0
	}
	return time.Duration(min(seconds, longest)) * time.Second
}
