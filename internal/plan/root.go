package plan

import (
	"strings"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/trust"
)

// RootName is the device-mapper name of a verified root, which systemd expects.
const RootName = "root"

var rootWords = verityWords{
	name: RootName, hash: "roothash",
	data: "systemd.verity_root_data", tree: "systemd.verity_root_hash", options: "systemd.verity_root_options",
}

// Volumes are what is opened with dm-verity, in this order.
func (b *Boot) Volumes() (volumes []*Volume) {
	for _, volume := range []*Volume{b.RootVolume, b.Usr.Volume} {
		if volume != nil {
			volumes = append(volumes, volume)
		}
	}
	return volumes
}

// VolumePolicy says what has to stand behind the root hash of a volume: UsrPolicy= is for the one that /usr lies on.
func (b *Boot) VolumePolicy(v *Volume) trust.Policy {
	if v == b.RootVolume && b.Usr.Source != UsrOnRoot {
		return trust.PolicyAny
	}
	return b.Verity.UsrPolicy
}

// planRoot decides what the root is and how it is mounted.
func (b *Boot) planRoot(words kernelcmdline.CommandLine) (err error) {
	if b.RootVolume, err = b.planVolume(words, rootWords); err != nil {
		return err
	}
	if err := b.planRootDevice(words); err != nil {
		return err
	}
	b.Root.Type, _ = words.Value("rootfstype")
	if b.Root.Type == "auto" {
		b.Root.Type = ""
	}
	flags, _ := words.Value("rootflags")
	// ro and rw count in their order; rootflags= is appended after them.
	mode := "ro"
	for _, word := range words.Words() {
		if !word.HasValue && (word.Key == "ro" || word.Key == "rw") {
			mode = word.Key
		}
	}
	b.Root.Options, b.Root.Attributes = mountapi.ParseOptions(mode + "," + flags)
	why := "no rw on the kernel command line"
	if b.RootVolume != nil {
		// The device is read-only, whatever the flags say.
		b.Root.Attributes |= mountapi.ReadOnly
		why = "it is under dm-verity"
	}
	if b.Volatile != VolatileNo {
		b.Root.Attributes |= mountapi.ReadOnly
		why = "systemd.volatile=" + string(b.Volatile)
	}
	switch {
	case b.Volatile == VolatileYes:
		b.Warnings = append(b.Warnings, "the root is in memory, with /usr alone ("+why+"): it is empty again at the next boot")
	case !b.MergesTakeWrites():
		b.Warnings = append(b.Warnings, "the root is mounted read-only ("+why+"): nothing merged takes writes")
	}
	return nil
}

// planRootDevice reads root= beside the volume.
func (b *Boot) planRootDevice(words kernelcmdline.CommandLine) error {
	const own = mapperFolder + RootName
	text, given := words.Value("root")
	automatic := !given || text == "gpt-auto" || text == "gpt-auto-force"
	switch {
	case b.RootVolume != nil && (automatic || text == own):
		return nil
	case b.RootVolume != nil:
		return &Refusal{
			Reason: "root=" + shorten(text) + " is not the device that " + b.RootVolume.HashWord + " opens",
			Advice: "with " + b.RootVolume.HashWord + " leave it out or write root=" + own,
		}
	case text == own:
		return &Refusal{
			Reason: "root=" + own + ", but the kernel command line has no root hash to open that with",
			Advice: "roothash= names it",
		}
	case automatic:
		return b.planAutomaticRoot(words)
	}
	selector, err := parseDevice("root", text)
	b.Root.Device = selector
	return err
}

// explainKeyword tells what values of root= and mount.usr= mean that name no device (systemd's kernel-command-line(7)); "" for others.
func explainKeyword(text string) string {
	switch text {
	case "tmpfs":
		return "a file system in memory"
	case "off":
		return "no file system at all"
	case "fstab":
		return "what an fstab in the initrd says"
	case "dissect", "dissect-force":
		return "a disk image to be taken apart"
	case "gpt-auto":
		return "what the partition table says"
	case "/dev/nfs":
		return "a file system of the network"
	}
	return ""
}

// parseDevice reads the device that a word names. For a keyword that is not one the refusal says what it means.
func parseDevice(key, text string) (Selector, error) {
	meaning := explainKeyword(text)
	if strings.HasPrefix(text, "bind:") {
		meaning = "a directory to be bound"
	}
	if meaning != "" {
		return Selector{}, &Refusal{
			Reason: key + "=" + shorten(text) + " asks for " + meaning + ", which preroot cannot do",
			Advice: "name a device, or boot with a larger initrd",
		}
	}
	selector, err := ParseSelector(text)
	if err != nil {
		return Selector{}, &Refusal{Reason: key + "=" + shorten(text) + ": " + err.Error()}
	}
	return selector, nil
}

// checkDiskless refuses to look for a root that the command line leaves out where that means one in memory, as on Flatcar.
func (b *Boot) checkDiskless(words kernelcmdline.CommandLine) error {
	if _, given := words.Value("root"); given || b.RootVolume != nil {
		return nil
	}
	key := "mount.usr="
	if b.Usr.Source == UsrInImage {
		key = SquashfsFile
	} else if v := b.Usr.Volume; v != nil && v.OnePartition {
		key = usrWords.shared + "="
	} else if b.Usr.Source != UsrDevice {
		return nil
	}
	return &Refusal{
		Reason: "there is " + key + " and no root=: that asks for a diskless system with its root in memory, which preroot cannot do",
		Advice: "name the root (root=gpt-auto: that on the disk of /usr), or boot with a larger initrd",
	}
}

// planAutomaticRoot leaves the root to the partition table, as systemd-gpt-auto-generator(8) has it, on one disk only.
func (b *Boot) planAutomaticRoot(words kernelcmdline.CommandLine) error {
	on, err := words.Bool("systemd.gpt_auto", true)
	if err != nil {
		b.Warnings = append(b.Warnings, err.Error())
	}
	if here, err := words.Bool("rd.systemd.gpt_auto", true); !on || err == nil && !here {
		return &Refusal{
			Reason: "the kernel command line names no root=, and switches the search for it off",
			Advice: "name the writable root, e.g. root=PARTUUID=...",
		}
	}
	b.Root.Device = Selector{Kind: Automatic}
	return nil
}
