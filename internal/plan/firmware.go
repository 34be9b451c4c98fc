package plan

import (
	"fmt"

	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/observe"
)

// BootSettings are those of preroot.conf about the boot as a whole.
type BootSettings struct {
	// IgnoreTPMPhases has a measured boot go on though nobody extends its phases.
	IgnoreTPMPhases bool
}

// bootSection is the section's name.
const bootSection = "Boot"

// read reads the section. Of several settings of a name the last one counts.
func (s *BootSettings) read(file *inifile.File) error {
	for _, key := range file.Keys(bootSection) {
		for _, value := range file.All(bootSection, key) {
			if key != "TpmPhases" {
				return fmt.Errorf("unknown setting %s= in [%s]", key, bootSection)
			}
			switch value {
			case "refuse", "ignore":
				s.IgnoreTPMPhases = value == "ignore"
			default:
				return fmt.Errorf("TpmPhases=%.20q is neither refuse nor ignore", value)
			}
		}
	}
	return nil
}

// CheckFirmware refuses what the firmware says that only another initrd can do.
func (b *Boot) CheckFirmware(f observe.Firmware) error {
	if f.Hibernated && !b.NoResume {
		return &Refusal{
			Reason: "the EFI variable HibernateLocation names a hibernation image, which preroot cannot resume from",
			Advice: "boot with a larger initrd that resumes, or give the image up with noresume",
		}
	}
	if f.Measured && f.TPM2 && !b.IgnoreTPMPhases {
		return &Refusal{
			Reason: "this boot was measured (EFI variable StubPcrKernelImage), and preroot does not extend PCR 11 by enter-initrd and leave-initrd",
			Advice: "secrets bound to those phases would stay closed or open too long; TpmPhases=ignore in [Boot] of preroot.conf goes on without",
		}
	}
	return nil
}

// CheckAutomaticRoot refuses to look for a root where nothing says on which disk.
func (b *Boot) CheckAutomaticRoot(f observe.Firmware) error {
	if b.Root.Device.Kind != Automatic || b.Usr.Source == UsrVerity || b.Usr.Source == UsrDevice || f.LoaderPartition != "" {
		return nil
	}
	return &Refusal{
		Reason: "the kernel command line names no root=, and nothing tells on which disk it is: /usr has none of its own, and there is no EFI variable LoaderDevicePartUUID",
		Advice: "name the root, e.g. root=PARTUUID=...",
	}
}

// FindLoaderDisk returns the disk with the partition that the boot loader was read from; empty if that is not known, or
// several have it, as copies of a disk do.
func FindLoaderDisk(f observe.Firmware, partitions []observe.Partition) string {
	if f.LoaderPartition == "" {
		return ""
	}
	found, others := (Selector{ByPartUUID, f.LoaderPartition}).Find(partitions, "")
	if found == nil || others > 0 {
		return ""
	}
	return found.Disk
}
