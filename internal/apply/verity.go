package apply

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/kernellog"
	"github.com/preroot/preroot/internal/keyring"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/veritytable"
)

// ProbeError says that a device gave no good answer when it was tried out.
type ProbeError struct {
	Name string
	// Err is the failed read, nil if all was read and the kernel says nevertheless that
	// something did not verify.
	Err error
	// KernelLog is what the kernel said about it, if anything.
	KernelLog string
}

func (e *ProbeError) Error() string {
	text := "the kernel found it corrupted"
	if e.Err != nil {
		text = e.Err.Error()
	}
	if e.KernelLog != "" {
		text += " (" + e.KernelLog + ")"
	}
	return text
}

func (e *ProbeError) Unwrap() error { return e.Err }

// OpenVerity opens a dm-verity device, reads some blocks through it, and only then believes its
// status and gives it a name below /dev/mapper. On failure nothing is left open; that the device
// does not verify is a *ProbeError then, that the kernel refused something a *devmapper.Error.
func OpenVerity(dm *devmapper.Control, v *plan.Verity) (devmapper.Device, error) {
	o := verityOpener{dm, readBlocks, publishDevice}
	device, err := o.open(v)
	if err != nil {
		return devmapper.Device{}, fmt.Errorf("open verity device %s: %w", v.Name, err)
	}
	return device, nil
}

// verityOpener is what opening needs of the world.
type verityOpener struct {
	dm      *devmapper.Control
	read    func(node string, size int, blocks []uint64) error
	publish func(name string, device devmapper.Device) error
}

func (o verityOpener) open(v *plan.Verity) (devmapper.Device, error) {
	table := v.Table
	if v.Probe.Gently {
		table.Options.OnCorruption, table.Options.OnError = veritytable.Fail, veritytable.Fail
	}
	var device devmapper.Device
	err := retryMemory(func() (err error) {
		device, err = o.dm.CreateAround(v.Name, v.UUID, verityTarget(&table), aroundLoad(v))
		return err
	})
	if refused, ok := errors.AsType[*devmapper.Error](err); ok && v.AcceptExisting &&
		refused.Command == devmapper.CommandCreate && errors.Is(err, unix.EBUSY) {
		return o.accept(v)
	}
	if err != nil {
		return device, err
	}
	err = o.probe(v, device)
	if err == nil && v.Probe.Gently {
		err = retryMemory(func() error { return o.dm.Replace(v.Name, verityTarget(&v.Table), aroundLoad(v)) })
	}
	if err == nil {
		err = o.publish(v.Name, device)
	}
	if err != nil {
		// Whoever looks at it just now, as udev may, must not keep it.
		return device, errors.Join(err, o.dm.RemoveWhenUnused(v.Name))
	}
	return device, nil
}

// memoryLimit bounds the wait for a kernel that says it has no memory for a table.
const memoryLimit = time.Second

// retryMemory loads a table again when the kernel says that it has no memory for it: Linux 6.12 says so while it is
// still taking down the buffers of another verity device, such as one that a killed merge has left (it finds their slab cache's name
// in sysfs: "cannot create duplicate filename").
func retryMemory(load func() error) (err error) {
	waitUntil(memoryLimit, func() bool {
		err = load()
		refused, ok := errors.AsType[*devmapper.Error](err)
		return !ok || refused.Command != devmapper.CommandLoad || !errors.Is(err, unix.ENOMEM)
	})
	return err
}

func verityTarget(table *veritytable.Table) devmapper.Target {
	return devmapper.Target{Sectors: table.Sectors(), Type: "verity", Parameters: table.Line()}
}

// aroundLoad has the signature in the keyring while a table is loaded.
func aroundLoad(v *plan.Verity) func(load func() error) error {
	return func(load func() error) error {
		if v.Signature == nil {
			return load()
		}
		return keyring.WithUserKey(v.Table.Options.SignatureKey, v.Signature, load)
	}
}

// othersLimit bounds the wait for somebody else who is just opening the same device.
const othersLimit = 5 * time.Second

// accept takes a device that somebody else has opened, if it is the one that is wanted. It stays as it is
// if not.
func (o verityOpener) accept(v *plan.Verity) (devmapper.Device, error) {
	var device devmapper.Device
	var err error
	waitUntil(othersLimit, func() bool {
		device, err = o.dm.Find(v.Name)
		return err != nil || device.Active
	})
	if err != nil {
		return device, err
	}
	if device.UUID != v.UUID {
		return device, fmt.Errorf("there is a device of the name with another UUID, %s", device.UUID)
	}
	target, err := o.dm.Table(v.Name)
	if err != nil {
		return device, err
	}
	table, err := veritytable.ParseTable(target.Parameters)
	if err != nil || target.Type != "verity" || table.Line() != v.Table.Line() {
		return device, fmt.Errorf("there is a device of the name with another table, %s %s", target.Type, target.Parameters)
	}
	if err := o.probe(v, device); err != nil {
		return device, err
	}
	return device, o.publish(v.Name, device)
}

// probe reads what the plan says, and then asks for the status.
func (o verityOpener) probe(v *plan.Verity, device devmapper.Device) error {
	if len(v.Probe.Blocks) == 0 {
		return nil
	}
	log := kernellog.Now()
	defer log.Close()
	err := o.read(device.Node(), int(v.Table.DataBlockSize), v.Probe.Blocks)
	if err == nil {
		text, failed := o.dm.Status(v.Name)
		if failed != nil {
			return failed
		}
		status, failed := veritytable.ParseStatus(text)
		if failed != nil || !status.Corrupted || mayBeCorrupted(v) {
			return failed
		}
	}
	return &ProbeError{Name: v.Name, Err: err, KernelLog: verityComplaint(log.Complaints())}
}

// mayBeCorrupted reports whether a device that gave all that was asked for is good enough though the
// kernel calls it corrupted. Hash blocks that it corrected count as corruption for Linux (6.12 and 7.2), and it would panic
// or restart for them.
func mayBeCorrupted(v *plan.Verity) bool {
	o := &v.Table.Options
	return o.OnCorruption == veritytable.Ignore || o.FEC != nil && o.OnCorruption == veritytable.Fail
}

// verityComplaint returns the first thing that dm-verity complained about: "7:0: metadata block 1
// is corrupted".
func verityComplaint(complaints []string) string {
	for _, text := range complaints {
		if text, found := strings.CutPrefix(text, "device-mapper: verity"); found {
			_, text, _ = strings.Cut(text, ": ")
			return text
		}
	}
	return ""
}

// readBlocks reads past the page cache, so that the blocks are verified now.
func readBlocks(node string, size int, blocks []uint64) error {
	file, err := os.OpenFile(node, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	// O_DIRECT wants the memory aligned; a page-backed mapping is.
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("allocate %d bytes: %w", size, err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	for _, block := range blocks {
		if _, err := file.ReadAt(memory, int64(block)*int64(size)); err != nil {
			return fmt.Errorf("read data block %d: %w", block, err)
		}
	}
	return nil
}
