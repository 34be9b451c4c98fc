// Package devmapper talks to the kernel's device mapper by its ioctls
// (linux/dm-ioctl.h, interface version 4), without libdevmapper and without
// udev.
//
// It knows devices with one target and nothing of what a target's words mean;
// package veritytable writes those. It does not make nodes, links or udev
// records: package apply does.
package devmapper

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/kernellog"
)

// ControlPath is the node of the control device.
const ControlPath = "/dev/mapper/control"

// Command is the number of an ioctl (DM_*_CMD).
type Command uint8

// The commands in use.
const (
	CommandList     Command = 2
	CommandCreate   Command = 3
	CommandRemove   Command = 4
	CommandResume   Command = 6
	CommandDevice   Command = 7
	CommandLoad     Command = 9
	CommandStatus   Command = 12
	CommandVersions Command = 13
	CommandMessage  Command = 14
)

var commandNames = [...]string{
	CommandList:     "list devices",
	CommandCreate:   "create device",
	CommandRemove:   "remove device",
	CommandResume:   "activate device",
	CommandDevice:   "look up device",
	CommandLoad:     "load table",
	CommandStatus:   "read status",
	CommandVersions: "list targets",
	CommandMessage:  "send message to device",
}

// Target is one line of a table.
type Target struct {
	// Start and Sectors count sectors of 512 bytes.
	Start, Sectors uint64
	Type           string
	Parameters     string
}

// Device is a mapped device as the kernel describes it.
type Device struct {
	Major, Minor uint32
	UUID         string
	OpenCount    int
	ReadOnly     bool
	// Active says that a table is in force.
	Active bool
	// RemovalDeferred says that the device goes with its last user.
	RemovalDeferred bool
}

// Number returns "major:minor".
func (d Device) Number() string { return fmt.Sprintf("%d:%d", d.Major, d.Minor) }

// Node returns the path of the device's node in devtmpfs.
func (d Device) Node() string { return fmt.Sprintf("/dev/dm-%d", d.Minor) }

// Error is an ioctl the kernel refused.
type Error struct {
	Command Command
	// Device is the name that the kernel was given, empty for a command about all devices.
	Device string
	// For is the device whose table was refused.
	For Device
	// KernelLog is the reason from the kernel's log, when one was found.
	KernelLog string
	Errno     error
}

func (e *Error) Error() string {
	text := commandNames[e.Command]
	if e.Device != "" {
		text += fmt.Sprintf(" %q", e.Device)
	}
	text += ": " + e.Errno.Error()
	if e.KernelLog != "" {
		text += " (" + e.KernelLog + ")"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Errno }

// Kernel carries out one ioctl, once, on a buffer that holds the message and
// takes the answer; devmappertest has a double. After an error the buffer may
// hold anything.
type Kernel interface {
	Ioctl(command Command, buf []byte) error
}

// Control is the open control device.
type Control struct {
	kernel Kernel
}

// Open opens the control device. It needs CAP_SYS_ADMIN and a loaded dm_mod.
func Open() (*Control, error) {
	file, err := os.OpenFile(ControlPath, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open device mapper (is the module dm_mod loaded?): %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open device mapper: %w", err)
	}
	return &Control{kernel: controlFile{file}}, nil
}

// With uses another kernel interface; for tests.
func With(kernel Kernel) *Control { return &Control{kernel: kernel} }

// Close closes the control device; mapped devices stay.
func (c *Control) Close() error {
	if closer, ok := c.kernel.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

type controlFile struct{ *os.File }

func (f controlFile) Ioctl(command Command, buf []byte) error {
	// _IOWR(0xfd, command, struct dm_ioctl)
	const base = 3<<30 | headerSize<<16 | 0xfd<<8
	return ioctl(f.Fd(), base|uintptr(command), buf)
}

// Create makes a read-only device with one target and activates it. If a step
// fails, nothing is left behind. A device of the name or uuid that exists
// already is an error that matches unix.EBUSY and stays untouched.
//
// The table is in force, but nothing was read yet: dm-verity finds damage at
// the first read.
func (c *Control) Create(name, uuid string, target Target) (Device, error) {
	return c.CreateAround(name, uuid, target, func(load func() error) error { return load() })
}

// CreateAround is Create for a table that needs something around its loading, such as a key in the
// keyring of the calling thread: around must call load once, on the goroutine that it runs on, and return
// its error.
func (c *Control) CreateAround(name, uuid string, target Target, around func(load func() error) error) (Device, error) {
	if err := checkName(name); err != nil {
		return Device{}, fmt.Errorf("create device: %w", err)
	}
	created, err := c.call(CommandCreate, message{name: name, uuid: uuid})
	if err != nil {
		return Device{}, err
	}
	device, err := c.activate(describe(created), name, target, around)
	if err != nil {
		// The first error counts. Whoever has just opened the device, as udev
		// may, must not keep it.
		_ = c.RemoveWhenUnused(name)
	}
	return device, err
}

// Replace puts another table in the place of a device's, as CreateAround loads the first one. When it
// fails the old one stays in force.
func (c *Control) Replace(name string, target Target, around func(load func() error) error) error {
	device, err := c.Find(name)
	if err == nil {
		_, err = c.activate(device, name, target, around)
	}
	return err
}

// activate loads a table and puts it in force. To a refusal it adds the reason that the kernel gave in
// its log.
func (c *Control) activate(device Device, name string, target Target, around func(load func() error) error) (Device, error) {
	log := kernellog.Now()
	defer log.Close()
	load := func() error {
		_, err := c.call(CommandLoad, message{name: name, flags: flagReadOnly | flagSecureData, target: &target})
		return err
	}
	err := around(load)
	var resumed answer
	if err == nil {
		resumed, err = c.call(CommandResume, message{name: name, flags: flagReadOnly | flagSecureData, eventNumber: udevCookie()})
	}
	if err != nil {
		if refused, ok := errors.AsType[*Error](err); ok {
			refused.For = device
			refused.KernelLog = reason(log.Complaints(), device.Major, device.Minor)
		}
		return Device{}, err
	}
	return describe(resumed), nil
}

// udevCookie returns an event number that a running udevd takes for an official
// activation (flag DM_UDEV_PRIMARY_SOURCE_FLAG, and no library fallback). Zero
// would make it ignore the device; without udevd it has no effect.
func udevCookie() uint32 {
	const primarySource, noLibraryFallback = 0x40, 0x20
	return (primarySource|noLibraryFallback)<<16 | (1 + rand.Uint32N(0xfffe))
}

// Find looks a device up by name. The error matches unix.ENXIO if there is none.
func (c *Control) Find(name string) (Device, error) {
	answer, err := c.call(CommandDevice, message{name: name})
	if err != nil {
		return Device{}, err
	}
	return describe(answer), nil
}

// Status returns the status words of the target, without flushing I/O. For
// verity they start with V (nothing wrong seen) or C (corruption seen).
func (c *Control) Status(name string) (string, error) {
	target, err := c.readTarget(name, flagNoFlush)
	return target.Parameters, err
}

// Table returns the table in force.
func (c *Control) Table(name string) (Target, error) {
	return c.readTarget(name, flagNoFlush|flagStatusTable)
}

func (c *Control) readTarget(name string, flags uint32) (Target, error) {
	answer, err := c.callLong(CommandStatus, message{name: name, flags: flags})
	if err != nil {
		return Target{}, err
	}
	target, err := answer.firstTarget()
	if err != nil {
		return Target{}, fmt.Errorf("read status of %q: %w", name, err)
	}
	return target, nil
}

// Remove removes a device that nobody uses; else the error matches unix.EBUSY.
func (c *Control) Remove(name string) error {
	_, err := c.call(CommandRemove, message{name: name, eventNumber: udevCookie()})
	return err
}

// RemoveWhenUnused removes the device now, or with its last user: Find tells then that the removal is
// deferred.
func (c *Control) RemoveWhenUnused(name string) error {
	_, err := c.call(CommandRemove, message{name: name, flags: flagDeferredRemove, eventNumber: udevCookie()})
	return err
}

// CancelRemoval takes back a deferred removal. It is no error if there was none.
func (c *Control) CancelRemoval(name string) error {
	_, err := c.call(CommandMessage, message{name: name, text: "@cancel_deferred_remove"})
	return err
}

// maxAnswer bounds the buffer for an answer: the words of one target, the names of all devices.
const maxAnswer = 1 << 20

// callLong makes room for an answer of any length up to maxAnswer.
func (c *Control) callLong(command Command, m message) (answer, error) {
	for m.room = 4 << 10; ; m.room *= 2 {
		answer, err := c.call(command, m)
		if err != nil || answer.flags&flagBufferFull == 0 {
			return answer, err
		}
		if m.room >= maxAnswer {
			return answer, fmt.Errorf("%s %q: the answer is longer than %d bytes", commandNames[command], m.name, maxAnswer)
		}
	}
}

func (c *Control) call(command Command, m message) (answer, error) {
	for {
		// Anew for every attempt: the kernel wipes a message with secure data
		// as soon as it has read it.
		buf, err := m.encode()
		if err != nil {
			return answer{}, fmt.Errorf("%s: %w", commandNames[command], err)
		}
		err = c.kernel.Ioctl(command, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return answer{}, &Error{Command: command, Device: m.name, Errno: err}
		}
		return decode(buf)
	}
}

func describe(a answer) Device {
	major, minor := deviceNumber(a.device)
	return Device{
		Major: major, Minor: minor, UUID: a.uuid, OpenCount: int(a.openCount),
		ReadOnly: a.flags&flagReadOnly != 0, Active: a.flags&flagActivePresent != 0,
		RemovalDeferred: a.flags&flagDeferredRemove != 0,
	}
}
