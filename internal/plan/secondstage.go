package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/superblock"
)

// SecondStageImage is where /usr has the larger initrd that Flatcar calls its second stage: a squashfs with an /init.
const SecondStageImage = "/lib/flatcar/bootengine.img"

// freshDisk is the GUID of the disk in every image of Flatcar: until it is random, the second stage has work to do.
const freshDisk = "00000000-0000-0000-0000-000000000001"

// Reason says why the root of this boot is for a larger initrd.
type Reason struct {
	Refusal
	// Optional reasons count only where /usr has a second stage; elsewhere the boot goes on without it.
	Optional bool
}

// Fallback collects why a boot is for the second stage. It holds what is known of the root: what is wrong with /usr is never a
// reason, since the second stage lies on it.
type Fallback []Reason

// add notes a reason, once.
func (f *Fallback) add(reason Reason) {
	if !slices.Contains(*f, reason) {
		*f = append(*f, reason)
	}
}

// Add notes that the root cannot be guessed.
func (f *Fallback) Add(refusal *Refusal) { f.add(Reason{Refusal: *refusal}) }

// addOptional notes what only a second stage has to do with.
func (f *Fallback) addOptional(format string, arguments ...any) {
	f.add(Reason{Refusal{Reason: fmt.Sprintf(format, arguments...)}, true})
}

// Reasons returns all of them in words.
func (f Fallback) Reasons() []string {
	var texts []string
	for _, reason := range f {
		texts = append(texts, reason.Reason)
	}
	return texts
}

// Refusal returns the first reason that stops a boot without a second stage, nil if none does.
func (f Fallback) Refusal() *Refusal {
	for i := range f {
		if !f[i].Optional {
			return &f[i].Refusal
		}
	}
	return nil
}

// SecondStage is what follows from the reasons, once /usr was looked at.
type SecondStage struct {
	// Enter says that the second stage takes over.
	Enter bool
	// Reasons in words, if it does.
	Reasons []string
}

// PlanSecondStage decides between the second stage, going on, and a *Refusal. exists says that a verified /usr has one.
func PlanSecondStage(f Fallback, exists bool) (SecondStage, error) {
	if exists && len(f) > 0 {
		return SecondStage{Enter: true, Reasons: f.Reasons()}, nil
	}
	if refusal := f.Refusal(); refusal != nil {
		return SecondStage{}, refusal
	}
	return SecondStage{}, nil
}

// planFirstBoot reads the words that ask for Ignition. As Flatcar's own scripts have it, an empty value, 0, no and off say that
// this is no first boot.
func (b *Boot) planFirstBoot(words kernelcmdline.CommandLine) {
	for _, key := range []string{"flatcar.first_boot", "coreos.first_boot", "ignition.firstboot"} {
		if !words.Has(key) {
			continue
		}
		value, hasValue := words.Value(key)
		if hasValue && slices.Contains([]string{"", "0", "no", "off"}, value) {
			continue
		}
		b.Fallback.Add(&Refusal{
			Reason: fmt.Sprintf("the kernel command line has %s, which preroot cannot honour: a first boot is set up by Ignition", key),
			Advice: "boot once with the initrd that brings Ignition, or remove the word",
		})
	}
}

// planDiskless notes what Flatcar's second stage does with a disk or without one.
func (b *Boot) planDiskless(words kernelcmdline.CommandLine) {
	if _, ok := words.Value("root"); !ok {
		b.Fallback.addOptional("the kernel command line has no root=")
	}
	for _, key := range []string{"flatcar.randomize_disk_guid", "flatcar.randomize_guid"} {
		if words.Has(key) {
			b.Fallback.addOptional("the kernel command line has %s", key)
		}
	}
}

// NoteFreshDisk notes that the disk of /usr was never booted from. usr is nil if it has none.
func (b *Boot) NoteFreshDisk(usr *observe.Partition) {
	guid, err := gpt.ParseGUID(freshDisk)
	if err == nil && usr != nil && usr.TableID == guid {
		b.Fallback.addOptional("the disk %s has the GUID of a fresh image", usr.Disk)
	}
}

// CheckOpaqueRoot looks at a root that is named by its label and not found: where the partition of that name on the disk of
// /usr is encrypted or a member of an array, the file system with the label appears only after somebody has opened it.
func (b *Boot) CheckOpaqueRoot(partitions []observe.Partition, disk string) *Refusal {
	if b.Root.Device.Kind != ByLabel {
		return nil
	}
	for i := range partitions {
		p := &partitions[i]
		kind := p.Content.Kind
		opaque := kind == superblock.LUKS || kind == superblock.RAID || kind == superblock.LVM
		if opaque && p.Disk == disk && p.Entry.Number != 0 && strings.EqualFold(p.Entry.Name, b.Root.Device.Value) {
			return &Refusal{
				Reason: fmt.Sprintf("root %s holds %s, which preroot cannot open", p.Node(), kind),
				Advice: "boot with a larger initrd that opens it",
			}
		}
	}
	return nil
}
