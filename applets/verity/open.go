package verity

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/trust"
	"github.com/preroot/preroot/internal/veritytable"
)

func runOpen(ctx context.Context, s *session) error {
	var found *signature
	if s.rootHash != "" {
		var err error
		if found, err = s.findDevices(); err != nil {
			return err
		}
	}
	if !s.rootHashFileGiven && len(s.operands) < 4 {
		return missingRootHash()
	}
	if err := checkNewName(s.operands[1]); err != nil {
		return err
	}
	v, err := s.openVolume(s.operands[0], s.operands[2], 3)
	if err != nil {
		return err
	}
	defer v.close()
	given, err := s.readSignature()
	if err != nil {
		return err
	}
	if given == nil {
		given = found
	}
	o, err := s.newOpening(v)
	if err != nil {
		return err
	}
	defer o.dm.Close()
	if err := o.look(); err != nil {
		return err
	}
	if err := s.openSigned(hex.EncodeToString(v.root), given, o.open); err != nil {
		return err
	}
	if ctx.Err() != nil {
		// Whoever is told that it was interrupted counts on no device.
		_, err := apply.CloseVerityLater(o.dm, devmapper.MangleName(o.name))
		return errors.Join(context.Cause(ctx), err)
	}
	o.warnCorrupted()
	return nil
}

// findDevices puts the partitions that --root-hash names among the operands, and returns the
// signature beside them, if there is one.
func (s *session) findDevices() (*signature, error) {
	root, err := hex.DecodeString(s.rootHash)
	if err != nil {
		return nil, &failure{code: exitParameters, lines: "Invalid root hash string specified.", cause: err}
	}
	var disks observe.Disks
	partitions, problems := disks.Scan("/sys")
	for _, problem := range problems {
		s.explain(problem.Error())
	}
	found, err := plan.FindVerityPartitions(root, partitions)
	if err != nil {
		return nil, fail(exitDevice, "Devices not found: "+err.Error()+".")
	}
	for _, warning := range found.Warnings {
		fmt.Fprintf(s.stderr, "WARNING: %s, using %s and %s.\n", warning, found.Data.Node(), found.Hash.Node())
	}
	s.operands = []string{found.Data.Node(), s.operands[0], found.Hash.Node(), s.rootHash}
	der, node, err := observe.FindVeritySignature(partitions, found.Data.Disk, root)
	if err != nil || der == nil {
		return nil, err
	}
	return &signature{der, trust.Found, node}, nil
}

// checkNewName refuses what cannot be the name of a device.
func checkNewName(name string) error {
	const limit = 127 // DM_NAME_LEN without the NUL byte
	switch {
	case strings.Contains(name, "/"):
		return fail(exitParameters, "Name must not contain '/' character.")
	case len(name) > limit || len(devmapper.MangleName(name)) > limit:
		return fail(exitParameters, "Name is too long.")
	case name == "" || name == "." || name == ".." || name == "control":
		return fail(exitBusy, "Cannot use device "+name+", name is invalid or still in use.")
	}
	return nil
}

// opening is a device that is about to be opened.
type opening struct {
	*session
	volume  *volume
	dm      *devmapper.Control
	storage apply.VerityStorage
	name    string // as typed
	options veritytable.Options
	probe   plan.Probe
}

func (s *session) newOpening(v *volume) (*opening, error) {
	o := &opening{session: s, volume: v, name: s.operands[1], options: s.tableOptions()}
	for _, part := range []struct {
		device  *device
		storage **observe.Storage
	}{{v.data, &o.storage.Data}, {v.hash, &o.storage.Hash}, {v.parity, &o.storage.FEC}} {
		if part.device == nil {
			continue
		}
		var err error
		if *part.storage, err = observe.StorageOf(part.device.File); err != nil {
			return nil, &failure{code: exitDevice, lines: "Device " + part.device.Name() + " is not compatible.", cause: err}
		}
	}
	var err error
	if o.dm, err = openDeviceMapper(exitParameters); err != nil {
		f, _ := errors.AsType[*failure](err)
		f.lines += "\nCannot use device " + o.name + ", name is invalid or still in use."
	}
	return o, err
}

// openDeviceMapper opens the control device, with the original's messages and the exit code that they
// have with this action.
func openDeviceMapper(code int) (*devmapper.Control, error) {
	dm, err := devmapper.Open()
	if err == nil {
		return dm, nil
	}
	lines := "Cannot initialize device-mapper. Is dm_mod kernel module loaded?"
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		lines = "Cannot initialize device-mapper, running as non-root user."
	}
	return nil, &failure{code: code, lines: lines, cause: err}
}

// tableOptions are the options for the kernel.
func (s *session) tableOptions() veritytable.Options {
	o := veritytable.Options{
		IgnoreZeroBlocks: s.ignoreZeroBlocks, CheckAtMostOnce: s.checkAtMostOnce, TryVerifyInTasklet: s.useTasklets,
	}
	switch {
	case s.panicOnCorruption:
		o.OnCorruption = veritytable.Panic
	case s.restartOnCorruption:
		o.OnCorruption = veritytable.Restart
	case s.ignoreCorruption:
		o.OnCorruption = veritytable.Ignore
	}
	if s.errorAsCorruption {
		o.OnError = o.OnCorruption
	}
	return o
}

// look finds out, before anything is made, whether the device can be opened.
func (o *opening) look() error {
	v := o.volume
	if _, err := o.dm.Find(devmapper.MangleName(o.name)); err == nil {
		return fail(exitBusy, "Device "+o.name+" already exists.")
	} else if !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if !o.shared {
		if used, err := o.storage.Data.IsInUse(); used || err != nil {
			return &failure{code: exitBusy, cause: err,
				lines: "Cannot use device " + v.data.Name() + " which is in use (already mapped or mounted)."}
		}
	}
	if _, err := plan.PlanVerityOpen(o.request(nil)); err != nil {
		return o.planFailure(err)
	}
	for _, part := range []*device{v.hash, v.parity} {
		if part != nil && part.size < sector {
			return failf("Requested offset is beyond real size of device %s.", part.Name())
		}
	}
	if v.parity != nil && o.fecOffset%uint64(v.superblock.HashBlockSize) != 0 {
		fmt.Fprintf(o.stderr, "WARNING: FEC offset %d is not a multiple of the block size, the kernel takes it as %d.\n",
			o.fecOffset, o.fecOffset-o.fecOffset%uint64(v.superblock.HashBlockSize))
	}
	return o.checkSamples()
}

// checkSamples checks in user space what is read through the device later, so that the reason has a
// name: with the panic and restart options the kernel's answer to the same is short.
func (o *opening) checkSamples() error {
	v := o.volume
	samples := observe.CheckSamples(v.superblock, int64(o.hashOffset), v.root, v.data, v.hash)
	options := o.options
	if v.parity != nil {
		options.FEC = &veritytable.FEC{}
	}
	probe, warning, err := plan.ProbeVerity(&options, samples, o.noProbe)
	if err != nil {
		return fail(exitPermission, "Device "+o.name+" is not opened: "+err.Error()+".")
	}
	if warning != nil {
		fmt.Fprintf(o.stderr, "WARNING: %v.\n", warning)
	}
	o.probe = probe
	return nil
}

func (o *opening) request(der []byte) plan.VerityRequest {
	v := o.volume
	r := plan.VerityRequest{
		Name: devmapper.MangleName(o.name), Superblock: v.superblock, HashOffset: int64(o.hashOffset), RootHash: v.root,
		Options: o.options, Signature: der, DataSize: v.data.size,
	}
	if v.parity != nil {
		r.FEC = &v.layout
	}
	return r
}

func (o *opening) planFailure(err error) error {
	if errors.Is(err, plan.ErrDataTooSmall) {
		return &failure{code: exitParameters, lines: "Device " + o.volume.data.Name() + " is too small.", cause: err}
	}
	return err
}

// open makes the device; der is the signature that the kernel shall check, nil for none. It leaves
// nothing behind when it fails.
func (o *opening) open(der []byte) error {
	mapping, err := plan.PlanVerityOpen(o.request(der))
	if err != nil {
		return o.planFailure(err)
	}
	mapping.Probe = o.probe
	if !strings.HasSuffix(mapping.UUID, mapping.Name) {
		fmt.Fprintf(o.stderr, "DM-UUID for device %s was truncated.\n", o.name)
	}
	release, err := apply.AttachVerity(mapping, o.storage)
	defer func() { _ = release() }()
	if err != nil {
		return &failure{code: exitParameters, lines: "Attaching loopback device failed (loop device with autoclear flag is required).", cause: err}
	}
	o.debugf("DM-UUID is %s", mapping.UUID)
	o.debugf("dm table %s 0 %d verity %s", o.name, mapping.Table.Sectors(), mapping.Table.Line())
	_, err = apply.OpenVerity(o.dm, mapping)
	if err != nil && o.options.TryVerifyInTasklet && lacksWord(err, "try_verify_in_tasklet") {
		// The only word that may go: it makes nothing safer.
		fmt.Fprintln(o.stderr, "Requested dm-verity tasklets option is not supported.")
		o.options.TryVerifyInTasklet = false
		return o.open(der)
	}
	if err != nil {
		return o.refusal(err, mapping)
	}
	return nil
}

// warnCorrupted says what the original says when the kernel has met damage already, which only an
// option can have let pass.
func (o *opening) warnCorrupted() {
	state, err := apply.ReadVerityState(o.dm, devmapper.MangleName(o.name))
	if err == nil && state.Status.Corrupted {
		fmt.Fprintln(o.stderr, "Verity device detected corruption after activation.")
	}
}
