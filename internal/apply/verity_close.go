package apply

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/observe"
)

// BusyError says that a device cannot be removed because somebody uses it.
type BusyError struct {
	Users observe.DeviceUsers
	Err   error
}

func (e *BusyError) Error() string { return e.Err.Error() }

func (e *BusyError) Unwrap() error { return e.Err }

// How long a device that is open is tried to be removed: as veritysetup does.
const (
	removeAttempts = 25
	removePause    = 200 * time.Millisecond
)

// CloseVerity removes a mapped device and its name. One that a program has open is tried again for five
// seconds, since that may be udev; not one that is mounted or that another device is made of. The error is
// a *BusyError then, and matches unix.ENXIO if there is no such device.
func CloseVerity(ctx context.Context, dm *devmapper.Control, name string) error {
	c := verityCloser{dm, findUsers, withdrawDevice, func() <-chan time.Time { return time.After(removePause) }}
	return c.close(ctx, name)
}

// CloseVerityLater removes a mapped device now or with its last user; deferred tells which. Without udev, nobody
// would take its name back then, so that it goes now.
func CloseVerityLater(dm *devmapper.Control, name string) (deferred bool, err error) {
	return verityCloser{dm: dm, withdraw: withdrawDevice}.closeLater(name)
}

// KeepVerity takes back what CloseVerityLater has asked for. It is no error if nothing was.
func KeepVerity(dm *devmapper.Control, name string) error {
	if err := dm.CancelRemoval(name); err != nil {
		return err
	}
	device, err := dm.Find(name)
	if err == nil {
		err = publishDevice(name, device)
	}
	return err
}

// verityCloser is what closing needs of the world.
type verityCloser struct {
	dm       *devmapper.Control
	users    func(device devmapper.Device) (observe.DeviceUsers, error)
	withdraw func(name string, device devmapper.Device, deferred bool) error
	pause    func() <-chan time.Time
}

func (c verityCloser) close(ctx context.Context, name string) error {
	device, err := c.dm.Find(name)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := c.dm.Remove(name)
		if err == nil || attempt > 1 && errors.Is(err, unix.ENXIO) {
			return c.withdraw(name, device, false)
		}
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		users, failed := c.users(device)
		if attempt == removeAttempts || len(users.Devices)+len(users.Mounts) > 0 {
			return &BusyError{users, errors.Join(err, failed)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.pause():
		}
	}
}

func (c verityCloser) closeLater(name string) (deferred bool, err error) {
	device, err := c.dm.Find(name)
	if err == nil {
		err = c.dm.RemoveWhenUnused(name)
	}
	if err != nil {
		return false, err
	}
	now, err := c.dm.Find(name)
	deferred = err == nil && now.UUID == device.UUID && now.RemovalDeferred
	return deferred, c.withdraw(name, device, deferred)
}

func findUsers(device devmapper.Device) (observe.DeviceUsers, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return observe.DeviceUsers{}, err
	}
	return observe.FindDeviceUsers("/sys", string(mounts), device.Number())
}
