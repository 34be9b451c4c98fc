package apply

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/devmapper/devmappertest"
	"github.com/preroot/preroot/internal/observe"
)

// closing is a double with one device that is in use, and a closer that does not wait.
type closing struct {
	verityCloser
	kernel    *devmappertest.Kernel
	pauses    int
	withdrawn []string
	// atPause is called with the number of the pause.
	atPause func(int)
}

func newClosing(t *testing.T) *closing {
	t.Helper()
	c := &closing{kernel: &devmappertest.Kernel{Open: map[string]int{"usr": 1}, Status: "V"}, atPause: func(int) {}}
	v := testVerity()
	dm := devmapper.With(c.kernel)
	if _, err := dm.Create("usr", v.UUID, verityTarget(&v.Table)); err != nil {
		t.Fatal(err)
	}
	now := make(chan time.Time)
	close(now)
	c.verityCloser = verityCloser{
		dm: dm,
		users: func(devmapper.Device) (observe.DeviceUsers, error) {
			return observe.DeviceUsers{}, nil
		},
		withdraw: func(name string, device devmapper.Device, deferred bool) error {
			c.withdrawn = append(c.withdrawn, fmt.Sprint(name, " ", device.Number(), " ", deferred))
			return nil
		},
		pause: func() <-chan time.Time {
			c.pauses++
			c.atPause(c.pauses)
			return now
		},
	}
	return c
}

func (c *closing) wantGone(t *testing.T, gone bool) {
	t.Helper()
	if names := c.kernel.Names(); (len(names) == 0) != gone {
		t.Errorf("there is %v", names)
	}
	want := []string{"usr 254:0 false"}
	if !gone {
		want = nil
	}
	if !reflect.DeepEqual(c.withdrawn, want) {
		t.Errorf("names taken back: %v", c.withdrawn)
	}
}

func TestADeviceInUseIsTriedAgain(t *testing.T) {
	c := newClosing(t)
	err := c.close(t.Context(), "usr")
	busy, ok := errors.AsType[*BusyError](err)
	if !ok || !errors.Is(err, unix.EBUSY) || c.pauses != 24 || len(busy.Users.Mounts) != 0 {
		t.Errorf("%v after %d pauses", err, c.pauses)
	}
	c.wantGone(t, false)

	c = newClosing(t)
	c.atPause = func(n int) {
		if n == 3 {
			c.kernel.Release("usr")
		}
	}
	if err := c.close(t.Context(), "usr"); err != nil || c.pauses != 3 {
		t.Errorf("%v after %d pauses", err, c.pauses)
	}
	c.wantGone(t, true)
}

func TestKnownUsersAreNotWaitedFor(t *testing.T) {
	for _, users := range []observe.DeviceUsers{{Devices: []string{"/dev/mapper/top"}}, {Mounts: []string{"/mnt"}}} {
		c := newClosing(t)
		c.users = func(devmapper.Device) (observe.DeviceUsers, error) { return users, nil }
		busy, ok := errors.AsType[*BusyError](c.close(t.Context(), "usr"))
		if !ok || c.pauses != 0 || !reflect.DeepEqual(busy.Users, users) {
			t.Errorf("%+v after %d pauses", busy, c.pauses)
		}
		c.wantGone(t, false)
	}
}

func TestSomebodyElseRemovesIt(t *testing.T) {
	c := newClosing(t)
	c.atPause = func(int) {
		c.kernel.Release("usr")
		if err := c.dm.Remove("usr"); err != nil {
			t.Error(err)
		}
	}
	if err := c.close(t.Context(), "usr"); err != nil {
		t.Error(err)
	}
	c.wantGone(t, true)
	if err := c.close(t.Context(), "usr"); !errors.Is(err, unix.ENXIO) {
		t.Errorf("a device that is not there: %v", err)
	}
}

func TestTheWaitCanBeEnded(t *testing.T) {
	c := newClosing(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.pause = func() <-chan time.Time {
		cancel()
		return nil
	}
	if err := c.close(ctx, "usr"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	c.wantGone(t, false)
}

func TestCloseLater(t *testing.T) {
	c := newClosing(t)
	if deferred, err := c.closeLater("usr"); !deferred || err != nil || !reflect.DeepEqual(c.withdrawn, []string{"usr 254:0 true"}) {
		t.Errorf("%v, names taken back: %v, %v", deferred, c.withdrawn, err)
	}
	c.withdrawn = nil
	c.wantGone(t, false)
	c.kernel.Open = nil
	if deferred, err := c.closeLater("usr"); deferred || err != nil {
		t.Errorf("%v, %v", deferred, err)
	}
	c.wantGone(t, true)
	if _, err := c.closeLater("usr"); !errors.Is(err, unix.ENXIO) {
		t.Errorf("a device that is not there: %v", err)
	}
}

func TestReadVerityState(t *testing.T) {
	c := newClosing(t)
	c.kernel.Status = "C 3"
	state, err := ReadVerityState(c.dm, "usr")
	if err != nil || state.Sectors != 2048 || state.Table.DataBlocks != 256 || !state.Status.Corrupted || state.Status.Corrections != 3 || state.OpenCount != 1 {
		t.Errorf("%+v, %v", state, err)
	}
	c.kernel.Status = "?"
	if _, err := ReadVerityState(c.dm, "usr"); err == nil {
		t.Error("a status that is none was read")
	}
	for name, test := range map[string]struct {
		uuid   string
		target devmapper.Target
		want   string
	}{
		"plain":   {"", devmapper.Target{Sectors: 8, Type: "verity", Parameters: "1"}, "no verity device"},
		"luks":    {"CRYPT-LUKS2-x", devmapper.Target{Sectors: 8, Type: "crypt", Parameters: "1"}, "no verity device"},
		"linear":  {"CRYPT-VERITY-linear", devmapper.Target{Sectors: 8, Type: "linear", Parameters: "7:0 0"}, "no verity device, its target is linear"},
		"damaged": {"CRYPT-VERITY-damaged", devmapper.Target{Sectors: 8, Type: "verity", Parameters: "1 2 3"}, "verity table has 3 words"},
	} {
		if _, err := c.dm.Create(name, test.uuid, test.target); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadVerityState(c.dm, name); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadVerityState(c.dm, "nosuch"); !errors.Is(err, unix.ENXIO) {
		t.Errorf("%v", err)
	}
}
