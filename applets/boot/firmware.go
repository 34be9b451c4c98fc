package boot

import (
	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/efivar"
	"github.com/preroot/preroot/internal/observe"
)

// checkFirmware reads what the firmware says about this boot, and refuses what only another initrd can do.
func (b *boot) checkFirmware() error {
	if apply.HasEFI() {
		// The module may be missing where the kernel has it built in.
		err := b.load("efivarfs")
		if err == nil {
			err = apply.MountEFIVariables()
		}
		if err != nil {
			b.warn("EFI variables cannot be read: %v; a hibernation image, phases of a TPM and the boot loader's disk go unnoticed", err)
		}
	}
	var err error
	if b.firmware, err = observe.ReadFirmware(efivar.Directory, "/sys"); err != nil {
		b.warn("%v", err)
	}
	if err := b.plan.CheckFirmware(b.firmware); err != nil {
		return err
	}
	// A /usr that the image brings may have a second stage, which needs no root.
	return b.asReason(stepSettings, b.plan.CheckAutomaticRoot(b.firmware))
}
