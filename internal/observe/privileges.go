package observe

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// MayMount reports whether the process has CAP_SYS_ADMIN, which all mounting takes (capabilities(7)).
func MayMount() (bool, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0, nil
}
