package vmtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// slotCount is how many guests may run at a time on this machine: one for each
// processor, since an emulated guest keeps about one busy, but never more than
// four, because each takes up to 2 GiB of memory.
func slotCount() int { return max(1, min(runtime.NumCPU(), 4)) }

// takeSlot waits until a guest may start. The slots are file locks, because
// the go command runs the test binaries of several packages at once. The
// kernel gives a lock back when its holder dies.
func takeSlot(ctx context.Context) (release func(), err error) {
	for {
		for i := range slotCount() {
			file, err := openSlot(i)
			if err != nil {
				return nil, fmt.Errorf("open lock of a guest slot: %w", err)
			}
			if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				return func() { file.Close() }, nil
			}
			file.Close()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a guest slot: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func openSlot(number int) (*os.File, error) {
	name := "preroot-vm-" + strconv.Itoa(os.Getuid()) + "-" + strconv.Itoa(number) + ".lock"
	return os.OpenFile(filepath.Join(os.TempDir(), name), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
}
