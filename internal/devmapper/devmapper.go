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
	CommandCreate Command = 3
	CommandRemove Command = 4
	CommandResume Command = 6
	CommandDevice Command = 7
	CommandLoad   Command = 9
	CommandStatus Command = 12
)

var commandNames = map[Command]string{
	CommandCreate: "create device",
	CommandRemove: "remove device",
	CommandResume: "activate device",
	CommandDevice: "look up device",
	CommandLoad:   "load table",
	CommandStatus: "read status",
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
}

// Node returns the path of the device's node in devtmpfs.
func (d Device) Node() string { return fmt.Sprintf("/dev/dm-%d", d.Minor) }

// Error is an ioctl the kernel refused.
type Error struct {
	Command Command
	Device  string
	// KernelLog is the reason from the kernel's log, when one was found.
	KernelLog string
	Errno     error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s %q: %v", commandNames[e.Command], e.Device, e.Errno)
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
	if name == "" {
		return Device{}, errors.New("create device: empty name")
	}
	created, err := c.call(CommandCreate, message{name: name, uuid: uuid})
	if err != nil {
		return Device{}, err
	}
	log := kernellog.Now()
	defer log.Close()
	device, err := c.activate(name, target)
	if err != nil {
		if refused, ok := errors.AsType[*Error](err); ok {
			empty := describe(created)
			refused.KernelLog = reason(log.Complaints(), empty.Major, empty.Minor)
		}
		// The first error counts. Whoever has just opened the device, as udev
		// may, must not keep it.
		_ = c.RemoveWhenUnused(name)
		return Device{}, err
	}
	return device, nil
}

func (c *Control) activate(name string, target Target) (Device, error) {
	if _, err := c.call(CommandLoad, message{name: name, flags: flagReadOnly | flagSecureData, target: &target}); err != nil {
		return Device{}, err
	}
	answer, err := c.call(CommandResume, message{name: name, flags: flagReadOnly | flagSecureData, eventNumber: udevCookie()})
	if err != nil {
		return Device{}, err
	}
	return describe(answer), nil
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

// maxAnswer bounds the buffer for a table; one target's words stay far below.
const maxAnswer = 1 << 20

func (c *Control) readTarget(name string, flags uint32) (Target, error) {
	for room := 4 << 10; ; room *= 2 {
		answer, err := c.call(CommandStatus, message{name: name, flags: flags, room: room})
		if err != nil {
			return Target{}, err
		}
		if answer.flags&flagBufferFull != 0 {
			if room < maxAnswer {
				continue
			}
			return Target{}, fmt.Errorf("read status of %q: the answer is longer than %d bytes", name, maxAnswer)
		}
		target, err := answer.firstTarget()
		if err != nil {
			return Target{}, fmt.Errorf("read status of %q: %w", name, err)
		}
		return target, nil
	}
}

// Remove removes a device that nobody uses; else the error matches unix.EBUSY.
func (c *Control) Remove(name string) error {
	_, err := c.call(CommandRemove, message{name: name, eventNumber: udevCookie()})
	return err
}

// RemoveWhenUnused removes the device now, or with its last user.
func (c *Control) RemoveWhenUnused(name string) error {
	_, err := c.call(CommandRemove, message{name: name, flags: flagDeferredRemove, eventNumber: udevCookie()})
	return err
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
	}
}
