package apply

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/preroot/preroot/internal/devmapper"
)

// Where udev has what it works with.
const (
	udevControl = "/run/udev/control"
	udevData    = "/run/udev/data"
	mapperLinks = "/dev/mapper/"
)

// udevLimit bounds the wait for udev, which reads the superblocks of what is on the device, from a disk that
// may be slow. The device is good without it; tests wait shorter.
var udevLimit = 10 * time.Second

// publishDevice gives a device its name below /dev/mapper. With udev running that is udev's
// business, and only if it does not get round to it the link is made here; without it, the link is made here and
// the udev of the real root told to accept the device.
func publishDevice(name string, device devmapper.Device) error {
	if isUdevRunning() {
		waitUntil(udevLimit, func() bool { return isLinked(name, device) })
		return linkDevice(name, device)
	}
	if err := linkDevice(name, device); err != nil {
		return err
	}
	return recordForUdev(device)
}

// withdrawDevice takes back what publishDevice did, after the device was removed, or its removal
// deferred, which udev notices by itself.
func withdrawDevice(name string, device devmapper.Device, deferred bool) error {
	if !isUdevRunning() {
		return errors.Join(unlinkDevice(name, device), removeRecord(device))
	}
	if !deferred {
		waitUntil(udevLimit, func() bool { return !isLinked(name, device) })
	}
	return nil
}

func isUdevRunning() bool {
	_, err := os.Stat(udevControl)
	return err == nil
}

func waitUntil(limit time.Duration, done func() bool) {
	for end := time.Now().Add(limit); !done() && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

func linkTarget(device devmapper.Device) string { return fmt.Sprintf("../dm-%d", device.Minor) }

func isLinked(name string, device devmapper.Device) bool {
	target, err := os.Readlink(mapperLinks + name)
	return err == nil && target == linkTarget(device)
}

// linkDevice makes the link that udev would make. One that is left of an earlier
// device of the name is replaced.
func linkDevice(name string, device devmapper.Device) error {
	link := mapperLinks + name
	err := os.Symlink(linkTarget(device), link)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if isLinked(name, device) {
		return nil
	}
	if err := os.Remove(link); err != nil {
		return err
	}
	return os.Symlink(linkTarget(device), link)
}

// unlinkDevice removes the name of a device: a link to it, or the node that programs on libdevmapper
// make.
func unlinkDevice(name string, device devmapper.Device) error {
	link := mapperLinks + name
	info, err := os.Lstat(link)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && (isLinked(name, device) || info.Mode()&os.ModeDevice != 0) {
		err = os.Remove(link)
	}
	return err
}

// udevRecord is what makes the udev of the real root accept a device that was
// set up without it. Without it the device's "add" event of the cold plug counts
// as that of a half-made device, and systemd waits for it in vain. The format is udev's own
// business; a boot test with the real udev watches over it.
const udevRecord = "E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\nV:1\n"

func recordPath(device devmapper.Device) string { return udevData + "/b" + device.Number() }

// recordForUdev writes the device's record below /run/udev/data, unless there
// is one. The sticky bit keeps it over "udevadm info --cleanup-db".
func recordForUdev(device devmapper.Device) error {
	if err := os.MkdirAll(udevData, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(recordPath(device), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(udevRecord)
	return errors.Join(err, file.Chmod(0o644|os.ModeSticky), file.Close())
}

// removeRecord removes the record if it is the one that recordForUdev wrote: the number of the
// device will be that of another one.
func removeRecord(device devmapper.Device) error {
	text, err := os.ReadFile(recordPath(device))
	if err != nil || string(text) != udevRecord {
		return nil
	}
	return os.Remove(recordPath(device))
}
