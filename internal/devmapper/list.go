package devmapper

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Listed is a device as List tells it.
type Listed struct {
	Name         string
	Major, Minor uint32
}

// List returns all mapped devices, in no particular order.
func (c *Control) List() ([]Listed, error) {
	answer, err := c.callLong(CommandList, message{})
	if err != nil {
		return nil, err
	}
	devices, err := answer.devices()
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return devices, nil
}

// TargetVersion is the version of a target's interface: major, minor, patch level.
type TargetVersion [3]uint32

// AtLeast reports whether the version has what came with major.minor.
func (v TargetVersion) AtLeast(major, minor uint32) bool {
	return v[0] > major || v[0] == major && v[1] >= minor
}

// TargetVersion returns the version of a target that the kernel has now; ok is false if it has none of the
// type. Modules are not loaded.
func (c *Control) TargetVersion(kind string) (version TargetVersion, ok bool, err error) {
	answer, err := c.callLong(CommandVersions, message{})
	if err != nil {
		return TargetVersion{}, false, err
	}
	versions, err := answer.targets()
	if err != nil {
		return TargetVersion{}, false, fmt.Errorf("list targets: %w", err)
	}
	version, ok = versions[kind]
	return version, ok, nil
}

var errBadList = errors.New("the kernel's list is damaged")

// devices reads struct dm_name_list: device number, distance to the next one (0 at the end), name. A
// list of no devices has one with the number 0.
func (a answer) devices() ([]Listed, error) {
	const offsetNext, offsetName = 8, 12
	var list []Listed
	for rest := a.body; len(rest) >= offsetName; {
		number := binary.NativeEndian.Uint64(rest)
		if number == 0 {
			break
		}
		major, minor := deviceNumber(number)
		list = append(list, Listed{Name: text(rest[offsetName:]), Major: major, Minor: minor})
		next := binary.NativeEndian.Uint32(rest[offsetNext:])
		if next == 0 {
			return list, nil
		}
		if next < offsetName || int64(next) > int64(len(rest)) {
			return nil, errBadList
		}
		rest = rest[next:]
	}
	return list, nil
}

// targets reads struct dm_target_versions: distance to the next one (0 at the end), three numbers, name.
func (a answer) targets() (map[string]TargetVersion, error) {
	const offsetVersion, offsetName = 4, 16
	list := map[string]TargetVersion{}
	for rest := a.body; len(rest) >= offsetName; {
		var version TargetVersion
		for i := range version {
			version[i] = binary.NativeEndian.Uint32(rest[offsetVersion+4*i:])
		}
		list[text(rest[offsetName:])] = version
		next := binary.NativeEndian.Uint32(rest)
		if next == 0 {
			break
		}
		if next < offsetName || int64(next) > int64(len(rest)) {
			return nil, errBadList
		}
		rest = rest[next:]
	}
	return list, nil
}
