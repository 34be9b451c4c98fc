package initramfs

// DefaultModules are the drivers of an image when Options.Modules is nil: the
// disks of common virtual and real machines, and what opens and merges a
// verified /usr and its extensions.
var DefaultModules = []string{
	"virtio_blk", "virtio_pci", "virtio_scsi", "nvme", "ahci", "sd_mod",
	"overlay", "erofs", "squashfs", "ext4",
	"loop", "dm_mod", "dm_verity",
}

// AppletLinks are the names by which the applets of /init can be called in the
// profile full; sealed has none. Each
// becomes a symbolic link in /bin; only applets that exist may be listed.
var AppletLinks = []string{
	"confext",
	"report",
	"switch_root",
	"switchroot",
	"sysext",
	"systemd-confext",
	"systemd-sysext",
	"verity",
	"veritysetup",
}

// directories of every image, all with mode 0755: mount points and the places
// of the files below.
var directories = []string{"bin", "dev", "etc", "proc", "run", "sys", "sysroot", "tmp"}

// node is a character device that PID 1 may need before it has mounted
// devtmpfs. The numbers are those of the kernel's
// Documentation/admin-guide/devices.txt.
type node struct {
	path         string
	permissions  uint64
	major, minor uint64
}

// nodes of every image. Without /dev/console the kernel starts /init with no
// standard streams, and says so.
var nodes = []node{
	{"dev/console", 0o600, 5, 1},
	{"dev/kmsg", 0o644, 1, 11},
	{"dev/null", 0o666, 1, 3},
}

// Places in the image, without the leading slash.
const (
	initPath    = "init"
	confPath    = "etc/preroot.conf"
	appletsPath = "bin"
	modulesPath = "lib/modules"
)
