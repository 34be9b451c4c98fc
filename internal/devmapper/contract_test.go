package devmapper_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/devmapper/devmappertest"
)

// checkContract goes through the life of a device. The double has to behave as
// the kernel does: the guest tests call this with the real one. hold uses a
// device until the function it returns is called.
func checkContract(t *testing.T, c *devmapper.Control, target devmapper.Target, hold func(name string) (release func())) {
	t.Helper()
	const name, uuid = "contract", "TEST-contract"
	wantErrno := func(what string, err error, errno unix.Errno) {
		t.Helper()
		if !errors.Is(err, errno) {
			t.Errorf("%s: %v, want %v", what, err, errno)
		}
		if refused, ok := errors.AsType[*devmapper.Error](err); ok && refused.Device == "" {
			t.Errorf("%s: the error names no device: %v", what, err)
		}
	}
	_, err := c.Find(name)
	wantErrno("find a device that is not there", err, unix.ENXIO)
	_, err = c.Status(name)
	wantErrno("status of a device that is not there", err, unix.ENXIO)
	wantErrno("remove a device that is not there", c.Remove(name), unix.ENXIO)
	wantErrno("remove it later", c.RemoveWhenUnused(name), unix.ENXIO)
	wantErrno("keep it", c.CancelRemoval(name), unix.ENXIO)
	if listed, err := c.List(); err != nil || len(listed) != 0 {
		t.Errorf("listed %+v, %v", listed, err)
	}

	device, err := c.Create(name, uuid, target)
	if err != nil {
		t.Fatal(err)
	}
	if !device.Active || !device.ReadOnly || device.UUID != uuid || device.Major == 0 {
		t.Errorf("created %+v", device)
	}
	if found, err := c.Find(name); err != nil || found != device {
		t.Errorf("found %+v, created %+v, %v", found, device, err)
	}
	if table, err := c.Table(name); err != nil || table != target {
		t.Errorf("table %+v, want %+v, %v", table, target, err)
	}

	want := []devmapper.Listed{{Name: name, Major: device.Major, Minor: device.Minor}}
	if listed, err := c.List(); err != nil || !reflect.DeepEqual(listed, want) {
		t.Errorf("listed %+v, want %+v, %v", listed, want, err)
	}
	if version, ok, err := c.TargetVersion(target.Type); !ok || err != nil || !version.AtLeast(1, 0) {
		t.Errorf("version %v of the target, %v, %v", version, ok, err)
	}
	if version, ok, err := c.TargetVersion("nosuchtarget"); ok || err != nil {
		t.Errorf("version %v of no target, %v", version, err)
	}

	_, err = c.Create(name, "TEST-other", target)
	wantErrno("create a device under the same name", err, unix.EBUSY)
	_, err = c.Create("other", uuid, target)
	wantErrno("create a device with the same uuid", err, unix.EBUSY)
	_, err = c.Find("other")
	wantErrno("find what could not be created", err, unix.ENXIO)
	if found, err := c.Find(name); err != nil || found != device {
		t.Errorf("found %+v after the collisions, created %+v, %v", found, device, err)
	}

	other := target
	other.Sectors /= 2
	load := func(load func() error) error { return load() }
	if err := c.Replace(name, other, load); err != nil {
		t.Error(err)
	}
	if table, err := c.Table(name); err != nil || table != other {
		t.Errorf("table %+v, want %+v, %v", table, other, err)
	}
	if found, err := c.Find(name); err != nil || found != device {
		t.Errorf("found %+v with another table, created %+v, %v", found, device, err)
	}
	wantErrno("replace the table of a device that is not there", c.Replace("other", other, load), unix.ENXIO)

	release := hold(name)
	if found, err := c.Find(name); err != nil || found.OpenCount != 1 {
		t.Errorf("found %+v while it is open, %v", found, err)
	}
	wantErrno("remove a device in use", c.Remove(name), unix.EBUSY)
	if err := c.RemoveWhenUnused(name); err != nil {
		t.Errorf("remove a device in use later: %v", err)
	}
	if found, err := c.Find(name); err != nil || !found.Active || !found.RemovalDeferred {
		t.Errorf("found %+v before its last user is gone, %v", found, err)
	}
	for range 2 {
		if err := c.CancelRemoval(name); err != nil {
			t.Errorf("keep the device: %v", err)
		}
		if found, err := c.Find(name); err != nil || !found.Active || found.RemovalDeferred {
			t.Errorf("found %+v that is to be kept, %v", found, err)
		}
	}
	if err := c.RemoveWhenUnused(name); err != nil {
		t.Errorf("remove a device in use later after all: %v", err)
	}
	_, err = c.Create(name, uuid, target)
	wantErrno("create a device while the old one is in use", err, unix.EBUSY)
	release()
	_, err = c.Find(name)
	wantErrno("find a device whose last user is gone", err, unix.ENXIO)

	if _, err := c.Create(name, uuid, target); err != nil {
		t.Fatal(err)
	}
	if err := c.RemoveWhenUnused(name); err != nil {
		t.Errorf("remove an unused device: %v", err)
	}
	_, err = c.Find(name)
	wantErrno("find a removed device", err, unix.ENXIO)
}

func TestTheDoubleKeepsTheContract(t *testing.T) {
	kernel := &devmappertest.Kernel{Targets: map[string]devmapper.TargetVersion{"linear": {1, 5, 0}, "error": {1, 7, 0}, "verity": {1, 13, 0}}}
	hold := func(name string) func() {
		kernel.Open = map[string]int{name: 1}
		return func() { kernel.Release(name) }
	}
	checkContract(t, devmapper.With(kernel), devmapper.Target{Sectors: 8, Type: "linear", Parameters: "7:0 0"}, hold)
	if names := kernel.Names(); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestCreateLeavesNothingBehind(t *testing.T) {
	target := devmapper.Target{Sectors: 8, Type: "linear", Parameters: "7:0 0"}
	for _, command := range []devmapper.Command{devmapper.CommandCreate, devmapper.CommandLoad, devmapper.CommandResume} {
		kernel := &devmappertest.Kernel{Fail: map[devmapper.Command]unix.Errno{command: unix.EIO}}
		device, err := devmapper.With(kernel).Create("usr", "", target)
		if !errors.Is(err, unix.EIO) || device != (devmapper.Device{}) {
			t.Errorf("%d: %+v, %v", command, device, err)
		}
		if names := kernel.Names(); len(names) != 0 {
			t.Errorf("%d: left behind %v", command, names)
		}
	}
}

func TestARefusedTargetLeavesNothingBehind(t *testing.T) {
	bad := map[string]devmapper.Target{
		"type longer than 15 bytes": {Type: "sixteen-letters.", Sectors: 1},
		"NUL in the type":           {Type: "li\x00near", Sectors: 1},
		"NUL in the parameters":     {Type: "linear", Parameters: "7:0\x000", Sectors: 1},
		"endless parameters":        {Type: "linear", Parameters: strings.Repeat("0 ", 1<<20), Sectors: 1},
	}
	for name, target := range bad {
		kernel := &devmappertest.Kernel{}
		if _, err := devmapper.With(kernel).Create("usr", "", target); err == nil || !strings.HasPrefix(err.Error(), "load table: ") {
			t.Errorf("%s: %v", name, err)
		}
		if names := kernel.Names(); len(names) != 0 {
			t.Errorf("%s: left behind %v", name, names)
		}
	}
}

func TestNamesAreChecked(t *testing.T) {
	target := devmapper.Target{Sectors: 8, Type: "linear", Parameters: "7:0 0"}
	for name, id := range map[string][2]string{
		"empty name":     {"", ""},
		"slash":          {"a/b", ""},
		"NUL":            {"a\x00b", ""},
		"long name":      {strings.Repeat("n", 128), ""},
		"long uuid":      {"usr", strings.Repeat("u", 129)},
		"NUL in uuid":    {"usr", "a\x00b"},
		"only NUL in it": {"usr", "\x00"},
		"folder":         {".", ""},
		"folder above":   {"..", ""},
		"control device": {"control", ""},
	} {
		kernel := &devmappertest.Kernel{}
		if _, err := devmapper.With(kernel).Create(id[0], id[1], target); err == nil || !strings.HasPrefix(err.Error(), "create device: ") {
			t.Errorf("%s: %v", name, err)
		}
		if len(kernel.Calls) != 0 {
			t.Errorf("%s: the kernel was asked", name)
		}
	}
	kernel := &devmappertest.Kernel{}
	name, uuid := strings.Repeat("n", 127), strings.Repeat("u", 128)
	device, err := devmapper.With(kernel).Create(name, uuid, target)
	if err != nil || device.UUID != uuid || !reflect.DeepEqual(kernel.Names(), []string{name}) {
		t.Errorf("longest name and uuid: %+v, %v", device, err)
	}
}

// interrupted fails every second call, after it has read and wiped the message
// as the kernel does with secure data.
type interrupted struct {
	devmappertest.Kernel
	calls int
}

func (k *interrupted) Ioctl(command devmapper.Command, buf []byte) error {
	if k.calls++; k.calls%2 == 1 {
		clear(buf)
		return unix.EINTR
	}
	if buf[0] != 4 && buf[3] != 4 {
		return unix.EINVAL
	}
	return k.Kernel.Ioctl(command, buf)
}

func TestAnInterruptedCallIsMadeAgainWithTheWholeMessage(t *testing.T) {
	kernel := &interrupted{}
	kernel.Status = "V"
	c := devmapper.With(kernel)
	if _, err := c.Create("usr", "u", devmapper.Target{Sectors: 8, Type: "verity", Parameters: "1"}); err != nil {
		t.Fatal(err)
	}
	if status, err := c.Status("usr"); err != nil || status != "V" {
		t.Errorf("status %q, %v", status, err)
	}
	if err := c.Remove("usr"); err != nil {
		t.Error(err)
	}
}

func TestLongAnswersAreReadWhole(t *testing.T) {
	kernel := &devmappertest.Kernel{}
	c := devmapper.With(kernel)
	target := devmapper.Target{Sectors: 8, Type: "linear", Parameters: strings.Repeat("x", 60000)}
	if _, err := c.Create("long", "", target); err != nil {
		t.Fatal(err)
	}
	if table, err := c.Table("long"); err != nil || table != target {
		t.Errorf("table of %d bytes, %v", len(table.Parameters), err)
	}
	for i := range 300 {
		if _, err := c.Create(fmt.Sprintf("%0127d", i), "", target); err != nil {
			t.Fatal(err)
		}
	}
	if listed, err := c.List(); err != nil || len(listed) != 301 || listed[300].Name != "long" || len(listed[299].Name) != 127 {
		t.Errorf("%d devices, %v", len(listed), err)
	}
	kernel.Targets = map[string]devmapper.TargetVersion{}
	for i := range 1000 {
		kernel.Targets[fmt.Sprint("target", i)] = devmapper.TargetVersion{1, uint32(i), 2}
	}
	if version, ok, err := c.TargetVersion("target999"); !ok || err != nil || version != (devmapper.TargetVersion{1, 999, 2}) {
		t.Errorf("%v, %v, %v", version, ok, err)
	}
	kernel.Status = strings.Repeat("y", 1<<20)
	if status, err := c.Status("long"); err == nil || !strings.Contains(err.Error(), `"long"`) {
		t.Errorf("status of %d bytes, %v", len(status), err)
	}
}

// TestTheTableIsLoadedInsideOfWhatItNeeds looks at the order of things, and at a caller that fails by itself.
func TestTheTableIsLoadedInsideOfWhatItNeeds(t *testing.T) {
	target := devmapper.Target{Sectors: 8, Type: "linear", Parameters: "7:0 0"}
	kernel := &devmappertest.Kernel{}
	c := devmapper.With(kernel)
	var before, after int
	_, err := c.CreateAround("usr", "", target, func(load func() error) error {
		before = len(kernel.Calls)
		err := load()
		after = len(kernel.Calls)
		return err
	})
	want := []devmapper.Command{devmapper.CommandCreate, devmapper.CommandLoad, devmapper.CommandResume}
	if err != nil || before != 1 || after != 2 || !reflect.DeepEqual(kernel.Calls, want) {
		t.Errorf("%v, before %d, after %d, %v", kernel.Calls, before, after, err)
	}
	noKey := errors.New("no key")
	if _, err := c.CreateAround("other", "", target, func(func() error) error { return noKey }); !errors.Is(err, noKey) {
		t.Errorf("%v", err)
	}
	if names := kernel.Names(); !reflect.DeepEqual(names, []string{"usr"}) {
		t.Errorf("left behind: %v", names)
	}
}

func TestARefusalSaysWhichDeviceItWasFor(t *testing.T) {
	kernel := &devmappertest.Kernel{Fail: map[devmapper.Command]unix.Errno{devmapper.CommandLoad: unix.E2BIG}}
	_, err := devmapper.With(kernel).Create("usr", "u", devmapper.Target{Sectors: 8, Type: "verity"})
	refused, ok := errors.AsType[*devmapper.Error](err)
	if !ok || refused.Command != devmapper.CommandLoad || refused.For.Number() != "254:0" || refused.Device != "usr" {
		t.Errorf("%+v", err)
	}
}

func TestVersionsAreCompared(t *testing.T) {
	version := devmapper.TargetVersion{1, 10, 0}
	for want, other := range map[[2]uint32]bool{{1, 9}: true, {1, 10}: true, {1, 11}: false, {0, 99}: true, {2, 0}: false} {
		if version.AtLeast(want[0], want[1]) != other {
			t.Errorf("%v at least %v: %v", version, want, !other)
		}
	}
}

func TestMangleName(t *testing.T) {
	// As libdevmapper 1.02.205 does it.
	for name, want := range map[string]string{
		"usr": "usr", "": "", "a b": `a\x20b`, `a\x20b`: `a\x20b`, `a\b`: `a\x5cb`, "xüy": `x\xc3\xbcy`, "#+-.:=@_": "#+-.:=@_",
		`a\x2`: `a\x5cx2`, `a\x20 b`: `a\x5cx20\x20b`, `\xZZ`: `\x5cxZZ`, "a/b": `a\x2fb`,
	} {
		if got := devmapper.MangleName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestErrorsSayWhatWasRefused(t *testing.T) {
	for want, err := range map[string]error{
		`activate device "usr": invalid argument`: &devmapper.Error{
			Command: devmapper.CommandResume, Device: "usr", Errno: unix.EINVAL},
		`load table "usr": invalid argument (verity: Invalid root digest)`: &devmapper.Error{
			Command: devmapper.CommandLoad, Device: "usr", Errno: unix.EINVAL, KernelLog: "verity: Invalid root digest"},
		`list devices: invalid argument`: &devmapper.Error{Command: devmapper.CommandList, Errno: unix.EINVAL},
	} {
		if err.Error() != want || !errors.Is(err, unix.EINVAL) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestCloseOfADouble(t *testing.T) {
	if err := devmapper.With(&devmappertest.Kernel{}).Close(); err != nil {
		t.Error(err)
	}
}
