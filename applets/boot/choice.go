package boot

import (
	"fmt"
	"slices"

	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
)

// choice is a device that the boot took, and by what.
type choice struct {
	use      string
	selector plan.Selector
	taken    *observe.Partition
	// words of the kernel command line may name it; where none is there, otherwise says where the selector comes from.
	words     []string
	otherwise string
}

// noteDevices writes down which devices were taken, and why these.
func (b *boot) noteDevices(found devices) {
	usr := b.plan.Usr
	choices := []choice{
		{"data of /usr", usr.Data, found.usrData, []string{"systemd.verity_usr_data", "verity.usr"}, "first half of " + rootHashWord(b.words)},
		{"hash tree of /usr", usr.Hash, found.usrHash, []string{"systemd.verity_usr_hash", "verity.usr"}, "second half of " + rootHashWord(b.words)},
	}
	if usr.Options.FEC != nil {
		choices = append(choices, choice{"error correction of /usr", usr.Options.FEC.Device, found.usrParity, nil, "fec-device= in systemd.verity_usr_options="})
	}
	choices = append(choices, choice{"root", b.plan.Root.Device, found.root, []string{"root"}, "no root= on the kernel command line"})
	var noted []bootreport.Device
	for _, c := range choices {
		if c.taken != nil {
			noted = append(noted, b.describeChoice(c, found))
		}
	}
	b.record(func() { b.report.Devices = append(b.report.Devices, noted...) })
}

func (b *boot) describeChoice(c choice, found devices) bootreport.Device {
	d := bootreport.Device{Use: c.use, Node: c.taken.Node(), Disk: c.taken.Disk, Selector: c.selector.String(), Reason: c.otherwise}
	if c.selector.Kind == plan.Automatic {
		d.Selector = string(plan.Automatic)
	}
	if at := slices.IndexFunc(c.words, func(word string) bool { return isGiven(b.words, word) }); at >= 0 {
		d.Reason = c.words[at] + "="
	}
	if _, d.Others = c.selector.Find(found.partitions, found.usrData.Disk); d.Others == 0 {
		return d
	}
	switch {
	case c.selector.Kind == plan.Automatic:
		d.Reason += "; the newest label"
	case c.taken != found.usrData && c.taken.Disk == found.usrData.Disk:
		d.Reason += "; on the disk of /usr"
	default:
		d.Reason += "; the first one found"
	}
	return d
}

// rootHashWord names the word of the kernel command line that the root hash of /usr is from.
func rootHashWord(words kernelcmdline.CommandLine) string {
	for _, word := range []string{"usrhash", "verity.usrhash"} {
		if isGiven(words, word) {
			return word + "="
		}
	}
	return "no word of the kernel command line"
}

// isGiven reports whether a word has a value, for the initrd alone or for all.
func isGiven(words kernelcmdline.CommandLine, word string) bool {
	_, given := words.InitrdValue(word)
	return given
}

// rootHashSource says for people who gave the root hash.
func rootHashSource(words kernelcmdline.CommandLine) string {
	return fmt.Sprintf("%s on the kernel command line", rootHashWord(words))
}
