// Package devmappertest is a double of the kernel's device mapper, to test its
// users without one. It keeps devices in memory and answers like the kernel;
// it checks no table.
package devmappertest

import (
	"bytes"
	"encoding/binary"
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
	// Calls lists what was asked for, in order.
	Calls []devmapper.Command

	devices map[string]*device
	created uint64
}

type device struct {
	number uint64
	uuid   []byte
	table  []byte
	active bool
}

// Names returns the devices that exist.
func (k *Kernel) Names() []string {
	var names []string
	for name := range k.devices {
		names = append(names, name)
	}
	return names
}

// Ioctl answers one command, in place as the kernel does.
func (k *Kernel) Ioctl(command devmapper.Command, buf []byte) error {
	k.Calls = append(k.Calls, command)
	if errno, ok := k.Fail[command]; ok {
		return errno
	}
	const flags, number, nameAt, uuidAt, body = 28, 40, 48, 176, 312
	native := binary.NativeEndian
	name := cString(buf[nameAt : nameAt+128])
	found := k.devices[name]
	if (found == nil) != (command == devmapper.CommandCreate) {
		if found == nil {
			return unix.ENXIO
		}
		return unix.EBUSY
	}
	switch command {
	case devmapper.CommandCreate:
		if k.devices == nil {
			k.devices = map[string]*device{}
		}
		found = &device{number: 254<<8 | k.created, uuid: bytes.Clone(buf[uuidAt : uuidAt+129])}
		k.created++
		k.devices[name] = found
	case devmapper.CommandRemove:
		delete(k.devices, name)
	case devmapper.CommandLoad:
		found.table = bytes.Clone(buf[body:])
	case devmapper.CommandResume:
		if found.table == nil {
			return unix.EINVAL
		}
		found.active = true
	case devmapper.CommandStatus:
		answer := bytes.Clone(found.table[:40])
		if native.Uint32(buf[flags:])&(1<<4) != 0 {
			answer = append(answer, cString(found.table[40:])...)
		} else {
			answer = append(answer, k.Status...)
		}
		answer = append(answer, 0)
		if len(answer) > len(buf)-body {
			native.PutUint32(buf[flags:], native.Uint32(buf[flags:])|1<<8)
			return nil
		}
		copy(buf[body:], answer)
		native.PutUint32(buf[12:], uint32(body+len(answer)))
		native.PutUint32(buf[20:], 1)
	}
	native.PutUint64(buf[number:], found.number)
	copy(buf[uuidAt:], found.uuid)
	if found.active {
		native.PutUint32(buf[flags:], native.Uint32(buf[flags:])|1<<5)
	}
	return nil
}

func cString(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}
