package apply

import (
	"fmt"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/sentinel"
	"github.com/preroot/preroot/internal/veritytable"
)

// VerityState is what the kernel says about a verity device.
type VerityState struct {
	devmapper.Device
	Sectors uint64 // length of the mapping, in sectors of 512 bytes
	Table   *veritytable.Table
	Status  veritytable.Status
}

// ErrNotVerity says that a mapped device is not a verity device.
const ErrNotVerity = sentinel.Error("it is no verity device")

// ReadVerityState asks for the table and the status of a mapped device. The error matches ErrNotVerity if it is
// something else: the UUID counts, as for veritysetup, and the type of the target.
func ReadVerityState(dm *devmapper.Control, name string) (*VerityState, error) {
	device, err := dm.Find(name)
	if err != nil {
		return nil, err
	}
	if !veritytable.IsDeviceUUID(device.UUID) {
		return nil, ErrNotVerity
	}
	target, err := dm.Table(name)
	if err != nil {
		return nil, err
	}
	if target.Type != "verity" {
		return nil, fmt.Errorf("%w, its target is %s", ErrNotVerity, target.Type)
	}
	state := &VerityState{Device: device, Sectors: target.Sectors}
	if state.Table, err = veritytable.ParseTable(target.Parameters); err != nil {
		return nil, err
	}
	text, err := dm.Status(name)
	if err == nil {
		state.Status, err = veritytable.ParseStatus(text)
	}
	if err != nil {
		return nil, err
	}
	return state, nil
}
