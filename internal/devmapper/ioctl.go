package devmapper

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl passes a buffer that starts with struct dm_ioctl.
func ioctl(fd uintptr, request uintptr, buf []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(&buf[0])))
	if errno != 0 {
		return errno
	}
	return nil
}
