package observe

import (
	"fmt"
	"os"

	"github.com/preroot/preroot/internal/mountinfo"
)

// Mounts returns the mount table of the process.
func Mounts() ([]mountinfo.Mount, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	defer file.Close()
	return mountinfo.Parse(file)
}
