package boot

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/sysextselection"
)

// lookRoot and lookOEM are where the root and the partition of the OEM are looked at, read-only, before anything takes writes.
const lookRoot, lookOEM = "/look", "/look-oem"

// noteSelection looks whether the sysexts that are wanted are there, as long as there is a second stage to hand over to. What else is wrong shows
// again when all is mounted to stay, and is told then. It sees the bare root: what only a confext enables comes too late for the second stage.
func (b *boot) noteSelection() error {
	settings := &b.plan.Selection
	if !settings.IsSet() || b.plan.Usr.Source == plan.UsrOnRoot {
		return nil
	}
	if err := b.mountEarlyUsr(); err != nil || !hasStage() {
		return err
	}
	how := b.plan.Root
	how.Attributes |= mountapi.ReadOnly
	if apply.MountFileSystem(b.rootType, b.rootNode(b.found), lookRoot, how) != nil {
		return nil
	}
	var tree sysextselection.Tree
	oem, err := b.mountOEM("/", lookOEM, mountapi.ReadOnly)
	if err != nil {
		// The second stage has a fsck.
		b.plan.NoteSelection("the partition of the OEM cannot be mounted: " + err.Error())
	} else if oem.Where != "" {
		err = tree.Add(settings.OEM, lookOEM)
	}
	if err = errors.Join(err, tree.Add("/usr", earlyUsr), tree.Add("", lookRoot)); err == nil {
		b.plan.NoteSelection(sysextselection.Select(settings, tree.Look).Needs...)
	}
	tree.Close()
	return errors.Join(apply.UnmountRoot(lookRoot), apply.UnmountRoot(lookOEM))
}

// mountOEM mounts the partition of the OEM at a place of a root. Nothing is returned if the disk has none.
func (b *boot) mountOEM(root, where string, flags mountapi.Attributes) (m bootreport.EarlyMount, err error) {
	disk := b.found.Usr.Data
	if disk == nil {
		disk = b.found.Root.Data
	}
	partition := b.plan.FindOEM(b.found.partitions, disk.Disk)
	if partition == nil {
		return m, nil
	}
	inside, err := rootdir.Open(root)
	if err != nil {
		return m, err
	}
	defer inside.Close()
	if err = b.plan.CheckRoot(partition.Content); err == nil {
		m.Device = partition.Node()
		m.FileSystem, err = b.fileSystem(m.Device, "")
	}
	if err == nil {
		m.Where, err = apply.MountInside(inside, where, m.FileSystem, m.Device, plan.FileSystem{Attributes: mountapi.NoDev | flags})
	}
	return m, err
}

// mountOEMToStay mounts it where the real root expects it. Nothing here writes to it; it takes writes since the real root finds it mounted, as it does
// after Flatcar's initrd, and puts the sysext of the next version there. It is not worth a boot: the real root tries again, and checks it first.
func (b *boot) mountOEMToStay() {
	if b.plan.Selection.OEM == "" {
		return
	}
	oem, err := b.mountOEM(newRoot, b.plan.Selection.OEM, 0)
	if err != nil {
		b.warn("the partition of the OEM is left to the real root: %v", err)
	} else if b.oemAt = oem.Where; oem.Where != "" {
		b.noteMount(oem, "the partition of the OEM")
	}
}

// selectSysexts sets the links to the sysexts that belong to the version of /usr. Names and links are read from the /etc that is to be seen, as
// Flatcar does it after its merge: a confext may enable sysexts. The links are written to the bare /etc below it, which has the highest layer where
// /etc takes writes, and is there without a confext as well. So what is shown ends before, and what is returned ends what is shown after that.
func (m *merger) selectSysexts(endPreview func() error) (func() error, error) {
	settings := &m.boot.plan.Selection
	if !settings.IsSet() {
		return endPreview, nil
	}
	var tree sysextselection.Tree
	defer tree.Close()
	if m.oemAt != "" {
		if err := tree.Add(settings.OEM, newRoot+m.oemAt); err != nil {
			m.warn("%v", err)
		}
	}
	if err := tree.Add("", newRoot); err != nil {
		m.warn("%v", err)
	}
	selection := sysextselection.Select(settings, tree.Look)
	for _, text := range append(selection.Problems, selection.Needs...) {
		m.warnOnce(text)
	}
	ended := false
	for _, link := range selection.Links {
		if m.linkText(link.At) == link.Target {
			continue
		}
		if !ended {
			if err := endPreview(); err != nil {
				return nil, err
			}
			ended = true
		}
		if err := apply.SetLink(m.root, link.At, link.Target); err != nil {
			m.warn("%v", err)
			continue
		}
		m.log.Printf(bootlog.Info, "%s leads to %s now", link.At, link.Target)
	}
	if !ended {
		return endPreview, nil
	}
	return m.previewEtc()
}

// linkText returns where a link leads, empty for what is none.
func (m *merger) linkText(at string) string {
	link, err := m.root.Open(at, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return ""
	}
	defer link.Close()
	text, _ := extension.ReadLink(link)
	return text
}
