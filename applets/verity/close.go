package verity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/veritytable"
)

func runClose(ctx context.Context, s *session) error {
	dm, err := openDeviceMapper(exitDevice)
	if err != nil {
		return err
	}
	defer dm.Close()
	typed := s.operands[0]
	name, err := mappedName(dm, typed, exitDevice)
	if err != nil {
		return err
	}
	inactive := fail(exitDevice, "Device "+typed+" is not active.")
	device, err := dm.Find(name)
	if name == "" || errors.Is(err, unix.ENXIO) || err == nil && !device.Active {
		return inactive
	}
	if err == nil && strings.HasPrefix(device.UUID, "CRYPT-") && !veritytable.IsDeviceUUID(device.UUID) {
		return fail(exitParameters, "Device "+typed+" is not a valid VERITY device.")
	}
	if err == nil {
		err = s.remove(ctx, dm, name)
	}
	switch busy, ok := errors.AsType[*apply.BusyError](err); {
	case ok:
		return &failure{code: exitBusy, lines: usersLine(typed, busy.Users) + "Device " + typed + " is still in use.", cause: err}
	case errors.Is(err, unix.ENXIO):
		return inactive
	}
	return err
}

func (s *session) remove(ctx context.Context, dm *devmapper.Control, name string) error {
	switch {
	case s.cancelDeferred:
		return apply.KeepVerity(dm, name)
	case s.deferred:
		deferred, err := apply.CloseVerityLater(dm, name)
		if deferred {
			fmt.Fprintf(s.stdout, "Device %s is still active and scheduled for deferred removal.\n", s.operands[0])
		}
		return err
	}
	return apply.CloseVerity(ctx, dm, name)
}

// usersLine names those who keep a device, where the original repeats the kernel's refusal 25 times.
func usersLine(typed string, users observe.DeviceUsers) string {
	var parts []string
	if len(users.Devices) > 0 {
		parts = append(parts, "used by "+strings.Join(users.Devices, ", "))
	}
	if len(users.Mounts) > 0 {
		parts = append(parts, "mounted on "+strings.Join(users.Mounts, ", "))
	}
	if len(parts) == 0 {
		parts = []string{"held open by a program"}
	}
	return "Device " + typed + " is " + printable(strings.Join(parts, ", and ")) + ".\n"
}
