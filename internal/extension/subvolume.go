package extension

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// readIdentity reads the identity of an image as its type has it.
func readIdentity(root *rootdir.Root, entry *rootdir.Entry, kind Type) (Identity, error) {
	identity, err := ReadIdentity(entry.File)
	switch {
	case err != nil:
	case kind == Block:
		identity.CreatedUSec, identity.ModifiedUSec = 0, 0
	case kind == Subvolume:
		identity.CreatedUSec, identity.ModifiedUSec, err = subvolumeTimes(root, entry.Path)
	}
	return identity, err
}

// subvolumeTimes returns creation and change time of a btrfs subvolume in microseconds, from its root
// item (BTRFS_IOC_GET_SUBVOL_INFO, include/uapi/linux/btrfs.h).
func subvolumeTimes(root *rootdir.Root, at string) (created, changed uint64, err error) {
	const getInfo = 0x81f8943c // _IOR(BTRFS_IOCTL_MAGIC, 60, struct btrfs_ioctl_get_subvol_info_args)
	const size, ctimeAt, otimeAt = 504, 376, 392
	directory, err := root.Open(at, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return 0, 0, err
	}
	defer directory.Close()
	var info [size]byte
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, directory.Fd(), getInfo, uintptr(unsafe.Pointer(&info[0]))); errno != 0 {
		return 0, 0, fmt.Errorf("read subvolume %s: %w", directory.Name(), errno)
	}
	return subvolumeTime(info[otimeAt:]), subvolumeTime(info[ctimeAt:]), nil
}

// subvolumeTime reads a struct btrfs_ioctl_timespec: 64 bits of seconds, 32 of nanoseconds.
func subvolumeTime(b []byte) uint64 {
	seconds, nanoseconds := binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint32(b[8:])
	if seconds >= math.MaxUint64/1_000_000 {
		return math.MaxUint64
	}
	return seconds*1e6 + uint64(nanoseconds)/1e3
}
