package observe

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/preroot/preroot/internal/efivar"
)

// Firmware is what EFI variables and the kernel say about how the machine was started.
type Firmware struct {
	// LoaderPartition is the PARTUUID, in lower case, of the partition that the boot loader was read from; empty if unknown.
	LoaderPartition string
	// Hibernated says that systemd left a note of where the image of a sleeping system lies.
	Hibernated bool
	// Measured says that systemd-stub measured the kernel's image into the TPM, so that the phases of the boot
	// are to follow (systemd-pcrphase.service(8)).
	Measured bool
	// TPM2 says that there is a TPM of version 2.
	TPM2 bool
}

// ReadFirmware looks at the variables below a mounted efivarfs, and at sysfs below sys. The error tells what could not be
// read; it comes with the rest.
func ReadFirmware(variables, sys string) (f Firmware, err error) {
	loader, failed := efivar.ReadText(variables, "LoaderDevicePartUUID", efivar.Loader)
	if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
		err = failed
	}
	f.LoaderPartition = strings.ToLower(loader)
	for variable, there := range map[string]*bool{
		"HibernateLocation-" + efivar.Systemd: &f.Hibernated,
		"StubPcrKernelImage-" + efivar.Loader: &f.Measured,
	} {
		// That it exists is all that counts: one that cannot be read must not pass for none.
		_, failed := os.Lstat(path.Join(variables, variable))
		if *there = !errors.Is(failed, fs.ErrNotExist); *there && failed != nil {
			err = errors.Join(err, failed)
		}
	}
	f.TPM2 = hasTPM2(sys)
	return f, err
}

// hasTPM2 reports whether the kernel has found a TPM 2, or the firmware announces one whose driver is not there yet.
func hasTPM2(sys string) bool {
	if _, err := os.Stat(path.Join(sys, "firmware/acpi/tables/TPM2")); err == nil {
		return true
	}
	versions, _ := filepath.Glob(path.Join(sys, "class/tpm/tpm*/tpm_version_major"))
	for _, file := range versions {
		if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == "2" {
			return true
		}
	}
	return false
}
