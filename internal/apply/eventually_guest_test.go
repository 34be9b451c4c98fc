//go:build guest

package apply

import "time"

// eventually waits for what the kernel does in its own time, such as freeing a loop device.
func eventually(done func() bool) bool {
	for range 200 {
		if done() {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
