package plan

import (
	"fmt"

	"github.com/preroot/preroot/internal/observe"
)

// Parts are the partitions of one file system.
type Parts struct {
	Data *observe.Partition
	// Hash is nil without dm-verity, Parity without error correction.
	Hash, Parity *observe.Partition
}

// Devices are the partitions that a boot needs.
type Devices struct {
	// Usr is empty where /usr is not on a device of its own.
	Usr, Root Parts
	// RootIsMissing says that all of /usr is there, and something of the root is not.
	RootIsMissing bool
	// Choices are all that was looked for, in that order.
	Choices []Choice
}

// Choice is a partition that was taken for a selector.
type Choice struct {
	// Use says what for, and From what the selector is from: "root", "root=".
	Use, From string
	Selector  Selector
	Taken     *observe.Partition
	// Others is how many more partitions there are that the selector names.
	Others int
	// Why says what decided between them; empty if nothing did, so that the first one was taken.
	Why string
}

// Select picks the partitions from all there are. missing names the first one that is not there, and why it is needed;
// empty if nothing is missing. Of several that one selector names, that on the disk of the boot loader is taken for /usr, and that on
// the disk of /usr for all others. loaderDisk is empty if nothing is known of it. With usrOnly the root is left out.
func (b *Boot) Select(partitions []observe.Partition, loaderDisk string, usrOnly bool) (found Devices, missing string) {
	s := selection{partitions: partitions, choices: &found.Choices, disk: loaderDisk, why: "on the disk that the boot loader was read from"}
	switch b.Usr.Source {
	case UsrVerity:
		found.Usr = s.takeVolume(b.Usr.Volume)
	case UsrDevice:
		found.Usr.Data = s.take(b.Usr.Mount.Device, "/usr", "mount.usr=")
	}
	if found.Usr.Data != nil {
		s.disk, s.why = found.Usr.Data.Disk, "on the disk of /usr"
	}
	if usrOnly || s.missing != "" {
		return found, s.missing
	}
	if b.RootVolume != nil {
		found.Root = s.takeVolume(b.RootVolume)
	} else {
		from := "root="
		if b.Root.Device.Kind == Automatic {
			from = "no root= on the kernel command line"
		}
		found.Root.Data = s.take(b.Root.Device, "root", from)
	}
	found.RootIsMissing = s.missing != ""
	return found, s.missing
}

// selection looks for one partition after another, on one disk if that has them.
type selection struct {
	partitions []observe.Partition
	choices    *[]Choice
	// disk is the one to prefer, and why says what it is.
	disk, why string
	missing   string
}

// take returns the partition, nil if something is missing.
func (s *selection) take(selector Selector, use, from string) *observe.Partition {
	if s.missing != "" {
		return nil
	}
	taken, others := selector.Find(s.partitions, s.disk)
	if taken == nil {
		s.missing = fmt.Sprintf("%s (%s, %s)", selector, use, from)
		return nil
	}
	choice := Choice{Use: use, From: from, Selector: selector, Taken: taken, Others: others}
	if selector.Kind == Automatic {
		choice.Why = "the newest label"
	} else if s.disk != "" && taken.Disk == s.disk && selector.isSingleOn(s.partitions, s.disk) {
		choice.Why = s.why
	}
	*s.choices = append(*s.choices, choice)
	return taken
}

func (s *selection) takeVolume(v *Volume) (p Parts) {
	p.Data = s.take(v.Data, "data of "+v.Title(), v.DataRole)
	if p.Data != nil {
		s.disk, s.why = p.Data.Disk, "on the disk of "+v.Title()
	}
	if v.OnePartition {
		p.Hash = p.Data
	} else {
		p.Hash = s.take(v.Hash, "hash tree of "+v.Title(), v.HashRole)
	}
	if v.Options.FEC != nil {
		p.Parity = s.take(v.Options.FEC.Device, "error correction of "+v.Title(), "fec-device= in "+v.OptionsWord)
	}
	return p
}

// CheckClear refuses a choice that nothing decided.
func (d *Devices) CheckClear() error {
	for _, c := range d.Choices {
		if c.Others > 0 && c.Why == "" {
			return &Refusal{
				Reason: fmt.Sprintf("%d partitions are %v, and nothing tells which one is meant", c.Others+1, c.Selector),
				Advice: "take away the disk that is a copy, or give its partitions other identifiers",
			}
		}
	}
	return nil
}
