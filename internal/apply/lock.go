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
	file, err := os.OpenFile(mergeLock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the lock of merges: %w", err)
	}
	for {
		if err = unix.Flock(int(file.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("take the lock of merges %s: %w", mergeLock, err)
	}
	return func() { file.Close() }, nil
}
