package apply

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// mergeLock keeps two of us from changing the same hierarchies at once. systemd's own tools know nothing of it.
const mergeLock = "/run/preroot/merge.lock"

// LockMerges waits until nobody else changes what is merged. The lock goes with the process at the latest.
func LockMerges() (unlock func(), err error) {
	if err := os.MkdirAll(path.Dir(mergeLock), 0o755); err != nil {
		return nil, fmt.Errorf("take the lock of merges: %w", err)
	}
	// No os.File: the first one of a process makes the runtime set up what waits for files.
	fd, err := unix.Open(mergeLock, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the lock of merges: %w", &os.PathError{Op: "open", Path: mergeLock, Err: err})
	}
	for {
		if err = unix.Flock(fd, unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("take the lock of merges %s: %w", mergeLock, err)
	}
	return func() { unix.Close(fd) }, nil
}
