package observe

import (
	"fmt"
	"os"
	"path/filepath"

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

// CanCreate reports why a new file of this name could not be made; nil if it could. Nothing is made.
func CanCreate(name string) error {
	if name == "" || name[len(name)-1] == '/' {
		return unix.ENOENT
	}
	if _, err := os.Lstat(name); err == nil {
		// A link to nowhere is in the way as well.
		return unix.EEXIST
	}
	return unix.Access(filepath.Dir(name), unix.W_OK|unix.X_OK)
}
