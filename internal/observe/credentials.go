package observe

import (
	"bytes"
	"os"
	"path/filepath"
)

// FirmwareCredentials reports whether firmware or hypervisor may have credentials that systemd imports by itself (systemd.system-credentials(7)), from
// what is below /sys: strings in the SMBIOS table, and files of QEMU's fw_cfg. Where that device has no driver yet, nobody can tell, and the
// answer is yes.
func FirmwareCredentials(sys string) bool {
	table, err := os.ReadFile(filepath.Join(sys, "firmware/dmi/tables/DMI"))
	if err == nil && bytes.Contains(table, []byte("io.systemd.credential")) {
		return true
	}
	if _, err := os.Stat(filepath.Join(sys, "firmware/qemu_fw_cfg/by_name")); err == nil {
		_, err = os.Stat(filepath.Join(sys, "firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials"))
		return err == nil
	}
	devices, _ := filepath.Glob(filepath.Join(sys, "bus/acpi/devices/QEMU0002:*"))
	return len(devices) > 0
}
