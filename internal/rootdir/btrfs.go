package rootdir

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IsOnBtrfs reports whether an entry lies on btrfs.
func (e *Entry) IsOnBtrfs() bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(e.File.Fd()), &st) == nil && st.Type == unix.BTRFS_SUPER_MAGIC
}

// BtrfsDevice returns the number of the block device that a directory on btrfs lies on, 0 if that cannot be told: it is on
// another file system, or on several devices (BTRFS_IOC_FS_INFO, BTRFS_IOC_DEV_INFO).
func (r *Root) BtrfsDevice(entry *Entry) uint64 {
	if !entry.IsOnBtrfs() {
		return 0
	}
	directory, err := r.Open(entry.Path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return 0
	}
	defer directory.Close()
	const (
		fsInfo, fsInfoSize, devicesAt       = 0x8400941f, 1024, 8
		deviceInfo, deviceInfoSize, pathsAt = 0xd000941e, 4096, 3072
		// maxID bounds the search: ids count up with every device that was ever added.
		maxID = 1024
	)
	var info [fsInfoSize]byte
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, directory.Fd(), fsInfo, uintptr(unsafe.Pointer(&info[0]))); errno != 0 ||
		binary.NativeEndian.Uint64(info[devicesAt:]) != 1 {
		return 0
	}
	for id := uint64(1); id <= min(binary.NativeEndian.Uint64(info[:]), maxID); id++ {
		var device [deviceInfoSize]byte
		binary.NativeEndian.PutUint64(device[:], id)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, directory.Fd(), deviceInfo, uintptr(unsafe.Pointer(&device[0]))); errno != 0 {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(unix.ByteSliceToString(device[pathsAt:]), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
			return 0
		}
		return st.Rdev
	}
	return 0
}
