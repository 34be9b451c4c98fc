package mountapi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mountIDRequest is struct mnt_id_req of the first version (linux/mount.h).
type mountIDRequest struct {
	size, spare    uint32
	id, parameters uint64
}

// IsBareMount reports whether a mount is at path that nothing is mounted on (listmount(2), Linux 6.8). To ask costs the same
// however many mounts there are, and however long the options of the mount. False: it has mounts below it, or none can tell.
func IsBareMount(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID_UNIQUE, &st)
	if err != nil || st.Mask&unix.STATX_MNT_ID_UNIQUE == 0 || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return false
	}
	request := mountIDRequest{id: st.Mnt_id}
	request.size = uint32(unsafe.Sizeof(request))
	var child uint64
	count, _, errno := unix.Syscall6(unix.SYS_LISTMOUNT, uintptr(unsafe.Pointer(&request)), uintptr(unsafe.Pointer(&child)), 1, 0, 0, 0)
	return errno == 0 && count == 0
}
