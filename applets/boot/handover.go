package boot

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/rootdir"
)

// handOver switches to the new root and executes its init. It returns only
// with an error.
func (b *boot) handOver(arguments []string) error {
	var switched apply.Handover
	err := b.step("hand over", func() (err error) {
		switched, err = b.switchRoot()
		return err
	})
	if err != nil {
		return err
	}
	return b.execute(arguments, switched)
}

func (b *boot) switchRoot() (apply.Handover, error) {
	root, err := rootdir.Open(newRoot)
	if err != nil {
		return apply.Handover{}, err
	}
	err = apply.CheckInit(root, b.plan.Init)
	if err == nil {
		b.spareRefreshes(root)
	}
	root.Close()
	if err != nil {
		return apply.Handover{}, err
	}
	// Nobody may open a file of the initramfs any more.
	b.loader.Stop()
	b.record(func() {
		for module, took := range b.loader.Times() {
			reason := b.reasons[module]
			if reason == "" {
				reason = "needed by another module"
			}
			b.report.AddModule(module, reason, took)
		}
	})
	return apply.SwitchRoot(newRoot, []string{"/sys", "/proc"})
}

// execute closes the record and becomes the real root's init.
func (b *boot) execute(arguments []string, switched apply.Handover) error {
	handover := &bootreport.Handover{
		Way: switched.Way, LeftOver: append([]string{}, switched.LeftOver...), Init: b.plan.Init,
		HelperMounts:  append([]string{}, helperMounts()...),
		MemoryUsedKiB: observe.Memory("MemTotal") - observe.Memory("MemAvailable"),
	}
	b.record(func() { b.report.Handover = handover })
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
		b.report.EndedMS-b.report.StartedMS, b.plan.Init)
	b.deadline.Stop()
	b.stopIfFailed()
	b.restorePanic()
	b.log.Close()
	program := append([]string{b.plan.Init}, arguments[1:]...)
	err = unix.Exec(b.plan.Init, program, os.Environ())
	b.log = bootlog.Open()
	return fmt.Errorf("execute %s: %w", b.plan.Init, err)
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
