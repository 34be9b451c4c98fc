// Package devmappertest is a double of the kernel's device mapper, to test its
// users without one. It keeps devices in memory and answers like the kernel;
// it checks no table.
package devmappertest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
)

// Kernel holds the devices. The zero value has none.
type Kernel struct {
	// Fail makes a command fail with an error number.
	Fail map[devmapper.Command]unix.Errno
	// Status is what every device's target answers.
	Status string
	// Targets are the target types that the kernel knows.
	Targets map[string]devmapper.TargetVersion
	// Open counts the users of devices, by name. A device in use is not
	// removed before Release.
	Open map[string]int
	// Calls lists what was asked for, in order.
	Calls []devmapper.Command
	// Before is called before every command, if it is set: somebody else may have been faster.
	Before func(command devmapper.Command, name string)

	devices map[string]*device
	created uint64
}

type device struct {
	number   uint64
	uuid     string
	loaded   []byte // a table that the next resume puts in force
	active   []byte
	readOnly bool
	removed  bool // with its last user
}

// Names returns the devices that exist, in order.
func (k *Kernel) Names() []string {
	var names []string
	for name := range k.devices {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Release ends all uses of a device; one whose removal was deferred goes.
func (k *Kernel) Release(name string) {
	delete(k.Open, name)
	if found := k.devices[name]; found != nil && found.removed {
		delete(k.devices, name)
	}
}

// Where things are in struct dm_ioctl, and its flags (linux/dm-ioctl.h).
const (
	sizeAt, countAt, openAt, flagsAt, numberAt, nameAt, uuidAt = 12, 20, 24, 28, 40, 48, 176
	nameSize, uuidSize, headerSize, specSize, paddedHeader     = 128, 129, 305, 40, 312

	flagReadOnly, flagStatusTable, flagActive, flagInactive = 1 << 0, 1 << 4, 1 << 5, 1 << 6
	flagBufferFull, flagDeferredRemove                      = 1 << 8, 1 << 17
)

var native = binary.NativeEndian

// Ioctl answers one command, in place as the kernel does.
func (k *Kernel) Ioctl(command devmapper.Command, buf []byte) error {
	k.Calls = append(k.Calls, command)
	name := cString(buf[nameAt : nameAt+nameSize])
	if k.Before != nil {
		k.Before(command, name)
	}
	if errno, ok := k.Fail[command]; ok {
		return errno
	}
	flags := native.Uint32(buf[flagsAt:])
	found := k.devices[name]
	switch command {
	case devmapper.CommandCreate:
		return k.create(name, buf)
	case devmapper.CommandList:
		answer(buf, k.list())
		return nil
	case devmapper.CommandVersions:
		answer(buf, k.versions())
		return nil
	}
	if found == nil {
		return unix.ENXIO
	}
	native.PutUint32(buf[sizeAt:], headerSize)
	switch command {
	case devmapper.CommandRemove:
		return k.remove(name, found, flags&flagDeferredRemove != 0)
	case devmapper.CommandMessage:
		if cString(buf[paddedHeader+8:]) != "@cancel_deferred_remove" {
			return unix.EINVAL
		}
		found.removed = false
	case devmapper.CommandLoad:
		if native.Uint32(buf[countAt:]) == 0 || len(buf) < paddedHeader+specSize {
			return unix.EINVAL
		}
		found.loaded = bytes.Clone(buf[paddedHeader:])
		found.readOnly = flags&flagReadOnly != 0
	case devmapper.CommandResume:
		if found.loaded == nil && found.active == nil {
			return unix.EINVAL
		}
		if found.loaded != nil {
			found.active, found.loaded = found.loaded, nil
		}
	}
	k.describe(name, found, buf)
	if command == devmapper.CommandStatus && found.active != nil {
		k.answerStatus(found, flags, buf)
	}
	return nil
}

func (k *Kernel) create(name string, buf []byte) error {
	uuid := cString(buf[uuidAt : uuidAt+uuidSize])
	for other, d := range k.devices {
		if other == name || (uuid != "" && d.uuid == uuid) {
			return unix.EBUSY
		}
	}
	if k.devices == nil {
		k.devices = map[string]*device{}
	}
	created := &device{number: 254<<8 | k.created, uuid: uuid}
	k.created++
	k.devices[name] = created
	k.describe(name, created, buf)
	return nil
}

func (k *Kernel) remove(name string, found *device, deferred bool) error {
	if k.Open[name] == 0 {
		delete(k.devices, name)
		return nil
	}
	if !deferred {
		return unix.EBUSY
	}
	found.removed = true
	return nil
}

// describe fills in what every answer tells about the device.
func (k *Kernel) describe(name string, d *device, buf []byte) {
	flags := native.Uint32(buf[flagsAt:]) &^ (flagReadOnly | flagActive | flagInactive | flagBufferFull | flagDeferredRemove)
	count := uint32(0)
	if d.active != nil {
		flags |= flagActive
		count = 1
		if d.readOnly {
			flags |= flagReadOnly
		}
	}
	if d.loaded != nil {
		flags |= flagInactive
	}
	if d.removed {
		flags |= flagDeferredRemove
	}
	native.PutUint32(buf[flagsAt:], flags)
	native.PutUint32(buf[countAt:], count)
	native.PutUint32(buf[openAt:], uint32(k.Open[name]))
	native.PutUint64(buf[numberAt:], d.number)
	clear(buf[uuidAt : uuidAt+uuidSize])
	copy(buf[uuidAt:], d.uuid)
}

func (k *Kernel) answerStatus(d *device, flags uint32, buf []byte) {
	words := k.Status
	if flags&flagStatusTable != 0 {
		words = cString(d.active[specSize:])
	}
	content := append(bytes.Clone(d.active[:specSize]), words...)
	answer(buf, append(content, 0))
}

// answer puts what the kernel has to say behind the header, or says that there is no room for it.
func answer(buf, content []byte) {
	flags := native.Uint32(buf[flagsAt:]) &^ flagBufferFull
	size := paddedHeader
	if len(content) > len(buf)-paddedHeader {
		flags |= flagBufferFull
	} else {
		size += copy(buf[paddedHeader:], content)
	}
	native.PutUint32(buf[flagsAt:], flags)
	native.PutUint32(buf[sizeAt:], uint32(size))
}

// list makes struct dm_name_list of all devices: number, distance to the next, name, and what newer
// kernels add.
func (k *Kernel) list() []byte {
	names := k.Names()
	if len(names) == 0 {
		return make([]byte, 16)
	}
	var list []byte
	for i, name := range names {
		size := (12+len(name)+1+7)&^7 + 8
		entry := make([]byte, size)
		native.PutUint64(entry, k.devices[name].number)
		if i < len(names)-1 {
			native.PutUint32(entry[8:], uint32(size))
		}
		copy(entry[12:], name)
		list = append(list, entry...)
	}
	return list
}

// versions makes struct dm_target_versions: distance to the next, three numbers, name.
func (k *Kernel) versions() []byte {
	var list []byte
	left := len(k.Targets)
	for name, version := range k.Targets {
		size := (16 + len(name) + 1 + 7) &^ 7
		entry := make([]byte, size)
		if left--; left > 0 {
			native.PutUint32(entry, uint32(size))
		}
		for i, number := range version {
			native.PutUint32(entry[4+4*i:], number)
		}
		copy(entry[16:], name)
		list = append(list, entry...)
	}
	return list
}

func cString(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}
