package boot

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

const (
	// earlyUsr is where a verified /usr is mounted before the root is known, as Flatcar's first stage has it.
	earlyUsr = "/sysusr/usr"
	// stageRoot is where the root of the second stage is put together, stageInit what runs in it.
	stageRoot = "/stage"
	stageInit = "/init"
)

// reach finds the devices, opens /usr and looks at the root, in this order, and mounts nothing that takes writes. Where the root is not for
// preroot it hands over to the second stage of /usr, and returns only with the reason if there is none.
func (b *boot) reach(arguments []string) error {
	if b.reached {
		return nil
	}
	// What an earlier run has found out of the root may be mended.
	b.plan.Fallback, b.stood = slices.Clone(b.planned), nil
	b.usrOnly = len(b.plan.Fallback) > 0
	err := b.find()
	if b.plan.Usr.Source == plan.UsrInImage || b.found.Usr.Data != nil {
		// With all of /usr at hand it is about the root.
		err = b.asReason(stepDevices, err)
	}
	if err != nil {
		if refusal := b.plan.Fallback.Refusal(); refusal != nil {
			err = fmt.Errorf("%w\nbesides, %w", err, refusal)
		}
		return err
	}
	if err := b.once(stepUsr, func() error { return b.openUsr(b.found) }); err != nil {
		return err
	}
	b.plan.NoteFreshDisk(b.found.Usr.Data)
	if len(b.plan.Fallback) == 0 {
		if err := b.asReason(stepRoot, b.once(stepRoot, b.lookAtRoot)); err != nil {
			return err
		}
	}
	if len(b.plan.Fallback) > 0 {
		if err := b.passStage(arguments); err != nil {
			return err
		}
	}
	b.reached = true
	return nil
}

// passStage enters the second stage of /usr and returns only with an error then, or goes on without one.
func (b *boot) passStage(arguments []string) error {
	enter, err := b.lookForStage()
	if err != nil {
		return err
	}
	if enter != nil {
		return b.enterStage(*enter, arguments)
	}
	// What there was to say of the root is not for a boot without a second stage.
	b.plan.Fallback = nil
	if b.usrOnly {
		b.usrOnly = false
		delete(b.done, stepDevices)
		if err := b.find(); err != nil {
			return err
		}
	}
	return b.once(stepRoot, b.lookAtRoot)
}

// original returns the error that became the reason for which the boot stops, or else that reason.
func (b *boot) original(reason error) error {
	for _, earlier := range b.stood {
		if reason != nil && earlier.Error() == reason.Error() {
			return earlier
		}
	}
	return reason
}

// find finds the devices.
func (b *boot) find() error {
	return b.once(stepDevices, func() (err error) {
		// Those of an earlier search are noted again.
		b.record(func() { b.report.Devices = []bootreport.Device{} })
		b.found, err = b.findDevices()
		return err
	})
}

// asReason notes what was found out about the root as a reason for the second stage. Other errors are returned, and all of them where /usr lies
// on the root.
func (b *boot) asReason(step string, err error) error {
	var refusal *plan.Refusal
	if errors.As(err, &refusal) && b.plan.Usr.Source != plan.UsrOnRoot {
		b.plan.Fallback.Add(&plan.Refusal{Reason: strings.TrimSuffix(err.Error(), "\n"+refusal.Advice), Advice: refusal.Advice})
		b.stood = append(b.stood, &earlierError{step, err})
		return nil
	}
	return err
}

// lookAtRoot opens the root, if it is under dm-verity, and makes sure that it can be mounted, and that it is for preroot to do so. All that stands
// in the way of a root that nobody verifies is a *plan.Refusal.
func (b *boot) lookAtRoot() (err error) {
	found := b.found
	if !b.rootOpen {
		if err := b.openRoot(found); err != nil {
			return err
		}
		b.rootOpen = b.plan.RootVolume != nil
	}
	node := b.rootNode(found)
	if b.plan.RootVolume == nil {
		err = b.plan.CheckRoot(found.Root.Data.Content)
	}
	if err == nil {
		b.rootType, err = b.fileSystem(node, b.plan.Root.Type)
	}
	if err == nil {
		return b.noteSelection()
	}
	var refusal *plan.Refusal
	if b.plan.RootVolume == nil && !errors.As(err, &refusal) {
		err = &plan.Refusal{Reason: err.Error()}
	}
	return fmt.Errorf("root %s: %w", node, err)
}

// lookForStage mounts /usr at earlyUsr and decides what follows. It returns nil if there is no second stage, and the boot may go on.
func (b *boot) lookForStage() (enter *plan.SecondStage, err error) {
	err = b.step(stepStage, func() error {
		if err := b.mountEarlyUsr(); err != nil {
			return err
		}
		stage, err := plan.PlanSecondStage(b.plan.Fallback, hasStage())
		if err == nil && stage.Enter {
			enter = &stage
		}
		return b.original(err)
	})
	return enter, err
}

// mountEarlyUsr mounts /usr before the root is known, once.
func (b *boot) mountEarlyUsr() error {
	if b.usrAt != "" {
		return nil
	}
	err := b.mountUsr(b.found, "/", earlyUsr)
	if err == nil {
		b.usrAt = earlyUsr
	}
	return err
}

// hasStage reports whether the /usr that is mounted early has a second stage.
func hasStage() bool {
	info, err := os.Stat(earlyUsr + plan.SecondStageImage)
	return err == nil && info.Mode().IsRegular()
}

// enterStage hands over to the second stage. It returns only with an error.
func (b *boot) enterStage(stage plan.SecondStage, arguments []string) error {
	for _, reason := range stage.Reasons {
		b.log.Printf(bootlog.Notice, "the root is for the second stage: %s", reason)
	}
	b.left = "the second stage was to take over, and is half prepared"
	var switched apply.Handover
	err := b.step(stepEnter, func() (err error) {
		if err = b.prepareStage(stage); err == nil {
			b.stopLoading()
			switched, err = apply.SwitchRoot(stageRoot, apply.FindCarried(stageRoot))
		}
		return err
	})
	if err == nil {
		err = b.execute(stageInit, arguments, switched, apply.DetachKernelMounts)
	}
	return fmt.Errorf("second stage on /usr: %w\nit was to take over, since %s", err, stage.Reasons[0])
}

// prepareStage puts the root of the second stage together.
func (b *boot) prepareStage(stage plan.SecondStage) error {
	image, err := os.Open(earlyUsr + plan.SecondStageImage)
	if err != nil {
		return err
	}
	defer image.Close()
	record := &bootreport.SecondStage{Image: "/usr" + plan.SecondStageImage, Reasons: stage.Reasons, Carried: []string{}}
	b.record(func() { b.report.SecondStage = record })
	for _, module := range []string{"loop", "squashfs", "overlay"} {
		if err := b.load(module); err != nil {
			return err
		}
	}
	if err := apply.MountSecondStage(image, stageRoot); err != nil {
		return err
	}
	carried, err := apply.CarryAppended(stageRoot)
	b.record(func() { record.Carried = append(record.Carried, carried...) })
	if err != nil {
		return err
	}
	root, err := rootdir.Open(stageRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := apply.CheckInit(root, stageInit); err != nil {
		return err
	}
	return apply.MoveMount(earlyUsr, stageRoot, earlyUsr)
}
