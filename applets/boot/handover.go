package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// handOver switches to the new root and executes its init. It returns only
// with an error.
func (b *boot) handOver(arguments []string) error {
	var switched apply.Handover
	err := b.step(stepHandOver, func() (err error) {
		switched, err = b.switchRoot()
		return err
	})
	if err != nil {
		return err
	}
	return b.execute(b.plan.Init, arguments, switched, func() error { return nil })
}

func (b *boot) switchRoot() (apply.Handover, error) {
	root, err := rootdir.Open(newRoot)
	if err != nil {
		return apply.Handover{}, err
	}
	b.chooseInit(root)
	err = apply.CheckInit(root, b.plan.Init)
	if err == nil {
		b.spareRefreshes(root)
	}
	root.Close()
	if err != nil {
		return apply.Handover{}, err
	}
	b.stopLoading()
	return apply.SwitchRoot(newRoot, []string{"/sys", "/proc"})
}

// chooseInit looks for the flag with which Flatcar's systems ask for another init.
func (b *boot) chooseInit(root *rootdir.Root) {
	flag, err := root.Resolve(plan.CgroupFlag)
	if err != nil {
		return
	}
	flag.Close()
	if note := b.plan.ChooseInit(apply.CheckInit(root, plan.InitWrapper)); note != "" {
		b.warn("%s", note)
	}
}

// stopLoading ends the loading of modules, and notes what was loaded: nobody may open a file of the initramfs any more.
func (b *boot) stopLoading() {
	b.stopDebugShell()
	b.loader.Stop()
	b.record(func() {
		b.report.Modules = []bootreport.Module{}
		for module, took := range b.loader.Times() {
			reason := b.reasons[module]
			if reason == "" {
				reason = "needed by another module"
			}
			b.report.AddModule(module, reason, took)
		}
	})
}

// execute closes the record and becomes the next init. last runs when nothing is left to be said. It returns only with an error.
func (b *boot) execute(init string, arguments []string, switched apply.Handover, last func() error) error {
	b.left = "the root is switched already"
	handover := &bootreport.Handover{
		Way: switched.Way, LeftOver: append([]string{}, switched.LeftOver...), Init: init,
		HelperMounts:  append([]string{}, helperMounts()...),
		MemoryUsedKiB: observe.Memory("MemTotal") - observe.Memory("MemAvailable"),
	}
	b.record(func() { b.report.Handover = handover })
	b.forgetLast()
	if len(switched.LeftOver) > 0 {
		b.warn("the initramfs was not freed: %s", strings.Join(switched.LeftOver, " "))
	}
	var err error
	b.record(func() {
		b.report.End()
		err = b.report.Write(b.reportFile)
	})
	if err != nil {
		b.warn("write report: %v", err)
	}
	b.log.Printf(bootlog.Notice, "%s after %.0f ms; executing %s", switched.Way,
		b.report.EndedMS-b.report.StartedMS, init)
	b.stopIfFailed()
	b.restorePanic()
	b.log.RestoreRate()
	// The deadline goes on until this program is no more: the new init's disk may not answer.
	keepClock()
	program := append([]string{init}, arguments[1:]...)
	if err = last(); err == nil {
		err = b.lowerPriority()
	}
	if err == nil {
		err = unix.Exec(init, program, append(os.Environ(), b.environment...))
	}
	// For the message.
	err = errors.Join(err, apply.MountAPI())
	b.log.Reopen()
	return fmt.Errorf("execute %s: %w", init, err)
}

// helperMounts lists mounts that were only meant for the work in the initramfs.
func helperMounts() []string {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	defer file.Close()
	mounts, err := mountinfo.Parse(file)
	if err != nil {
		return []string{err.Error()}
	}
	var left []string
	for _, m := range mounts {
		if m.Source == "preroot" || strings.HasPrefix(m.Target, "/run/preroot") || strings.HasPrefix(m.Target, newRoot) {
			left = append(left, m.Target)
		}
	}
	return left
}
