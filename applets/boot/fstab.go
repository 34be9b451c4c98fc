package boot

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/fstab"
	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/uevent"
)

const (
	fstabFile = "/etc/fstab"
	// entriesWait bounds the wait for the devices of all entries together (see entriesTime).
	entriesWait = 60 * time.Second
)

// mergeAll mounts what the root's fstab wants early, merges the extensions, and looks once more at the fstab that is to be seen then. What is mounted
// after that may show other extensions; they are merged again then. That is not worth a boot: what cannot be mounted early is left to the real root, which
// tries again and knows what to do.
func (b *boot) mergeAll() error {
	root, err := rootdir.Open(newRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	if len(b.merged) > 0 {
		// An earlier run has failed half-way.
		if err := b.unmerge(root); err != nil {
			return err
		}
	}
	b.record(func() { b.report.Merges, b.report.MountIDs = []bootreport.Merge{}, map[string]uint64{} })
	b.mountFstab(root, func(string) bool { return true })
	if err := b.mergeExtensions(); err != nil {
		return err
	}
	// Those in a hierarchy come last, since a second merge would take them away.
	if b.mountFstab(root, func(where string) bool { return !plan.IsInHierarchy(where) }) {
		b.log.Printf(bootlog.Info, "merging again: more is mounted than before")
		if err := b.unmerge(root); err != nil {
			return err
		}
		if err := b.mergeExtensions(); err != nil {
			return err
		}
	}
	b.mountFstab(root, plan.IsInHierarchy)
	return nil
}

// unmerge takes away what was merged, the last one first, and what was noted of it. Mounts in a hierarchy stay.
func (b *boot) unmerge(root *rootdir.Root) error {
	w := apply.NewBareWorkspace(apply.Environment{Root: root})
	for _, merge := range slices.Backward(b.merged) {
		for _, overlay := range slices.Backward(merge.Overlays) {
			now, err := extension.ReadMerged(root, merge.Class, overlay.Hierarchy)
			if err == nil && now != nil {
				err = w.Unmerge(now, string(merge.Class))
			}
			if err != nil {
				return fmt.Errorf("unmerge %s: %w", overlay.Hierarchy, err)
			}
		}
	}
	b.merged = nil
	b.record(func() { b.report.Merges, b.report.MountIDs = []bootreport.Merge{}, map[string]uint64{} })
	return nil
}

// mountFstab mounts the entries for the initrd that are wanted and not mounted yet. It reports whether that may change what is merged.
func (b *boot) mountFstab(root *rootdir.Root, wanted func(where string) bool) (changed bool) {
	text, err := root.ReadFile(fstabFile)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		b.warnOnce(err.Error())
		return false
	}
	entries, problems := fstab.Parse(string(text))
	mounts, notes := plan.PlanFstab(b.words, entries, min(b.plan.Timeout, b.entriesTime()))
	for _, note := range append(problems, notes...) {
		b.warnOnce(note)
	}
	for _, m := range mounts {
		if b.tried[m.Where] || !wanted(m.Where) {
			continue
		}
		if b.tried == nil {
			b.tried = map[string]bool{}
		}
		b.tried[m.Where] = true
		at, err := b.mountEntry(root, m)
		if err != nil {
			b.warn("%s is not mounted early, and left to the real root: %v", m.Where, err)
			continue
		}
		changed = changed || plan.ChangesMerge(at)
	}
	return changed
}

// warnOnce warns unless the same was said before: the same fstab is read several times.
func (b *boot) warnOnce(text string) {
	known := false
	b.record(func() { known = slices.Contains(b.report.Warnings, text) })
	if !known {
		b.warn("%s", text)
	}
}

// mountEntry mounts one entry and returns where.
func (b *boot) mountEntry(root *rootdir.Root, m plan.EarlyMount) (at string, err error) {
	fsType, node := m.Type, m.Type
	if m.HasDevice() {
		begun := time.Now()
		m.Wait = max(0, min(m.Wait, b.entriesTime()-b.waited))
		device, err := b.waitForDevice(m)
		b.waited += time.Since(begun)
		if err != nil {
			return "", err
		}
		node = device.Node()
		if m.Checked {
			if err := b.plan.CheckRoot(device.Content); err != nil {
				return "", fmt.Errorf("%s: %w", node, err)
			}
		}
		if fsType, err = b.fileSystem(node, m.Type); err != nil {
			return "", fmt.Errorf("%s: %w", node, err)
		}
	}
	if at, err = apply.MountInside(root, m.Where, fsType, node, m.FileSystem); err != nil {
		return "", err
	}
	b.noteMount(bootreport.EarlyMount{Where: at, Device: node, FileSystem: fsType}, "as fstab says")
	return at, nil
}

// noteMount puts a mount that the real root finds into log and report.
func (b *boot) noteMount(m bootreport.EarlyMount, why string) {
	b.record(func() { b.report.EarlyMounts = append(b.report.EarlyMounts, m) })
	b.log.Printf(bootlog.Info, "mounted %s on %s (%s), %s", m.Device, m.Where, m.FileSystem, why)
}

// waitForDevice waits for the device of an entry as long as that says. Like findDevices it looks again after each event and loads one driver after
// another meanwhile.
func (b *boot) waitForDevice(m plan.EarlyMount) (*observe.Partition, error) {
	listener, err := uevent.Listen()
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	drivers := drivers{offered: map[string]bool{}, done: make(chan driverLoad, 1)}
	drivers.offer(b, blockdev.Modaliases("/sys"))
	disks := observe.Disks{Contents: true}
	for end := time.Now().Add(m.Wait); ; {
		partitions, problems := disks.Scan("/sys")
		found, others := m.Device.Find(partitions, b.rootDisk)
		if others > 0 {
			b.warn("%d more partitions are %v; taking %s", others, m.Device, found.Node())
		}
		if found != nil {
			return found, nil
		}
		for _, problem := range problems {
			b.warnOnce(problem.Error())
		}
		if !time.Now().Before(end) {
			return nil, fmt.Errorf("no partition %v appeared within %v", m.Device, m.Wait)
		}
		if drivers.next(b); drivers.loading {
			// The kernel says nothing of a driver that finds no device.
			drivers.finish(b, <-drivers.done)
			continue
		}
		happened, _, err := listener.Wait(end)
		if err != nil {
			return nil, err
		}
		drivers.offer(b, modaliases(happened))
	}
}

// finish notes the end of a load.
func (d *drivers) finish(b *boot, load driverLoad) {
	d.loading = false
	if load.err != nil {
		b.warnOnce(load.err.Error())
	}
}

// keepMountsBelow has the merge of a class keep the mounts that lie in its hierarchies now.
func (m *merger) keepMountsBelow(merge *plan.Merge) error {
	mounts, err := observe.Mounts()
	if err != nil {
		return err
	}
	for _, overlay := range merge.Overlays {
		if len(mountinfo.Below(mounts, overlay.Target)) > 0 {
			_, err := m.workspace.Uncover(merge.Class, merge.Hierarchies)
			return err
		}
	}
	return nil
}
