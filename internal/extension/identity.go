package extension

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// Identity is what tells an image that carries no root hash from its
// successors: systemd compares it when it decides whether to merge again
// (specification of the extensions, "the values").
type Identity struct {
	// MountID is the kernel's unique 64-bit id of the mount the image lies on.
	MountID uint64
	// HandleType and Handle are the file handle, where the file system has one;
	// else Handle is nil and Inode counts.
	HandleType int32
	Handle     []byte
	Inode      uint64
	// CreatedUSec and ModifiedUSec are times in microseconds since 1970, 0 if
	// unknown. Directories have no modification time here.
	CreatedUSec, ModifiedUSec uint64
}

// Flags of name_to_handle_at(2) that golang.org/x/sys does not name.
const (
	handleMountIDUnique = 0x001 // AT_HANDLE_MNT_ID_UNIQUE, Linux 6.12
	handleForCompare    = 0x200 // AT_HANDLE_FID, Linux 6.5
)

// ReadIdentity reads the identity of an open file or directory (O_PATH is
// enough).
func ReadIdentity(file rootdir.File) (Identity, error) {
	var identity Identity
	var st unix.Statx_t
	err := unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH,
		unix.STATX_BASIC_STATS|unix.STATX_BTIME|unix.STATX_MNT_ID_UNIQUE, &st)
	if err != nil {
		return identity, fmt.Errorf("stat %s: %w", file.Name(), err)
	}
	if st.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
		return identity, fmt.Errorf("stat %s: the kernel has no unique mount ids (Linux 6.8 has)", file.Name())
	}
	identity.MountID = st.Mnt_id
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		identity.ModifiedUSec = microseconds(st.Mtime)
	}
	identity.CreatedUSec = creationTime(file, st)
	identity.HandleType, identity.Handle = readHandle(file)
	if identity.Handle == nil {
		identity.Inode = st.Ino
	}
	return identity, nil
}

// microseconds truncates. A time before 1970 is systemd's "infinity", which it
// writes as the largest number.
func microseconds(t unix.StatxTimestamp) uint64 {
	if t.Sec < 0 || uint64(t.Sec) >= math.MaxUint64/1_000_000 {
		return math.MaxUint64
	}
	return uint64(t.Sec)*1e6 + uint64(t.Nsec)/1e3
}

// creationTime is the smaller of the file system's birth time and the one that
// user space noted, 0 without either.
func creationTime(file rootdir.File, st unix.Statx_t) uint64 {
	var created uint64
	if st.Mask&unix.STATX_BTIME != 0 && st.Btime.Sec != 0 {
		created = microseconds(st.Btime)
	}
	value := make([]byte, 8)
	n, err := unix.Getxattr(pathOf(file), "user.crtime_usec", value)
	if err != nil || n != 8 {
		return created
	}
	noted := binary.LittleEndian.Uint64(value)
	if noted != 0 && noted != ^uint64(0) && (created == 0 || noted < created) {
		created = noted
	}
	return created
}

// pathOf names an open file for calls that take no O_PATH descriptor, such as
// fgetxattr(2).
func pathOf(file rootdir.File) string { return "/proc/self/fd/" + strconv.Itoa(int(file.Fd())) }

// readHandle asks for a handle that need only serve for comparison, then for an
// ordinary one, as systemd does; nil if the file system has neither.
func readHandle(file rootdir.File) (kind int32, handle []byte) {
	for _, flags := range []int{handleForCompare, 0} {
		if kind, handle, err := nameToHandle(int(file.Fd()), flags|unix.AT_EMPTY_PATH); err == nil {
			return kind, handle
		}
	}
	return 0, nil
}

// nameToHandle is name_to_handle_at(2) with room for a 64-bit mount id, which
// golang.org/x/sys lacks. A handle has at most MAX_HANDLE_SZ (128) bytes.
func nameToHandle(fd, flags int) (kind int32, handle []byte, err error) {
	var buf struct {
		size  uint32
		kind  int32
		bytes [128]byte
	}
	var mountID uint64
	buf.size = uint32(len(buf.bytes))
	empty := [1]byte{}
	_, _, errno := unix.Syscall6(unix.SYS_NAME_TO_HANDLE_AT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&buf)), uintptr(unsafe.Pointer(&mountID)), uintptr(flags|handleMountIDUnique), 0)
	if errno != 0 {
		return 0, nil, errno
	}
	return buf.kind, append([]byte{}, buf.bytes[:min(int(buf.size), len(buf.bytes))]...), nil
}

// Equal reports whether all that is known of two images is the same.
func (i Identity) Equal(o Identity) bool {
	return i.MountID == o.MountID && i.HandleType == o.HandleType && bytes.Equal(i.Handle, o.Handle) && i.Inode == o.Inode &&
		i.CreatedUSec == o.CreatedUSec && i.ModifiedUSec == o.ModifiedUSec
}

// HandleText returns the handle as systemd writes it: lower case hex.
func (i Identity) HandleText() string { return hex.EncodeToString(i.Handle) }

// MountID returns the unique id of the mount that a path leads to.
func MountID(path string) (uint64, error) {
	file, err := os.OpenFile(path, unix.O_PATH, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	identity, err := ReadIdentity(file)
	return identity.MountID, err
}
