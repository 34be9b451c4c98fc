package apply

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/plan"
)

// OpenVerity opens a dm-verity device, reads its first block through it, and
// only then believes its status. On failure nothing is left open.
func OpenVerity(dm *devmapper.Control, v *plan.Verity) (devmapper.Device, error) {
	device, err := dm.Create(v.Name, v.UUID, devmapper.Target{
		Sectors:    v.Table.Sectors(),
		Type:       "verity",
		Parameters: v.Table.Line(),
	})
	if err != nil {
		return device, fmt.Errorf("open verity device %s: %w", v.Name, err)
	}
	err = checkVerity(dm, v, device)
	if err == nil {
		err = linkDevice(v.Name, device)
	}
	if err == nil {
		err = recordForUdev(device)
	}
	if err != nil {
		return device, errors.Join(fmt.Errorf("open verity device %s: %w", v.Name, err), dm.Remove(v.Name))
	}
	return device, nil
}

func checkVerity(dm *devmapper.Control, v *plan.Verity, device devmapper.Device) error {
	if err := readFirstBlock(device.Node(), int(v.Table.DataBlockSize)); err != nil {
		return err
	}
	status, err := dm.Status(v.Name)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "V") {
		return fmt.Errorf("the kernel found it corrupted at the first read (status %q)", status)
	}
	return nil
}

// readFirstBlock reads past the page cache, so that the block is verified now.
func readFirstBlock(node string, size int) error {
	file, err := os.OpenFile(node, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	// O_DIRECT wants the memory aligned; a page-backed mapping is.
	block, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("allocate %d bytes: %w", size, err)
	}
	defer func() { _ = unix.Munmap(block) }()
	if _, err := file.ReadAt(block, 0); err != nil {
		return fmt.Errorf("read the first block: %w", err)
	}
	return nil
}

// linkDevice makes the link that udev would make. One that is left of an earlier
// device of the name is replaced.
func linkDevice(name string, device devmapper.Device) error {
	link, target := "/dev/mapper/"+name, fmt.Sprintf("../dm-%d", device.Minor)
	err := os.Symlink(target, link)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if old, err := os.Readlink(link); err == nil && old == target {
		return nil
	}
	if err := os.Remove(link); err != nil {
		return err
	}
	return os.Symlink(target, link)
}

// udevRecord is what makes the udev of the real root accept a device that was
// set up without it. Without it the device's "add" event of the cold plug counts
// as that of a half-made device, and systemd waits for it in vain. The format is udev's own
// business; a boot test with the real udev watches over it.
const udevRecord = "E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\nV:1\n"

// recordForUdev writes the device's record below /run/udev/data, unless there
// is one. The sticky bit keeps it over "udevadm info --cleanup-db".
func recordForUdev(device devmapper.Device) error {
	const directory = "/run/udev/data"
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	name := fmt.Sprintf("%s/b%d:%d", directory, device.Major, device.Minor)
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(udevRecord)
	return errors.Join(err, file.Chmod(0o644|os.ModeSticky), file.Close())
}
