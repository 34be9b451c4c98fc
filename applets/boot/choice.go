package boot

import (
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/plan"
)

// sealedProfile is the profile in which nothing is guessed.
const sealedProfile = "sealed"

// noteDevices says what was taken, and where there was a choice. In the sealed profile nothing is guessed.
func (b *boot) noteDevices(found plan.Devices) error {
	for _, choice := range found.Choices {
		why := choice.Why
		if why == "" {
			why = "the first one found"
		}
		b.record(func() { b.report.Devices = append(b.report.Devices, describeChoice(choice, why)) })
		if choice.Others == 0 {
			continue
		}
		b.warn("%d more partitions are %v; taking %s: %s", choice.Others, choice.Selector, choice.Taken.Node(), why)
	}
	if b.report.Profile == sealedProfile {
		if err := found.CheckClear(); err != nil {
			return err
		}
	}
	usr := "/usr on the root"
	if found.Usr.Data != nil {
		usr = "/usr on " + describeParts(found.Usr)
	}
	root := "not needed yet"
	if found.Root.Data != nil {
		root = "on " + describeParts(found.Root)
	}
	b.log.Printf(bootlog.Info, "%s, root %s", usr, root)
	return nil
}

func describeParts(p plan.Parts) string {
	text := p.Data.Node()
	if p.Hash != nil {
		text += " with hash tree on " + p.Hash.Node()
	}
	return text
}

func describeChoice(c plan.Choice, why string) bootreport.Device {
	d := bootreport.Device{Use: c.Use, Node: c.Taken.Node(), Disk: c.Taken.Disk, Selector: c.Selector.String(), Reason: c.From, Others: c.Others}
	if c.Selector.Kind == plan.Automatic {
		d.Selector = string(plan.Automatic)
	}
	if c.Others > 0 {
		d.Reason += "; " + why
	}
	return d
}
