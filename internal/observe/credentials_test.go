package observe

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFirmwareCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"nothing":           {nil, false},
		"another string":    {map[string]string{"firmware/dmi/tables/DMI": "\x0bio.systemd.stub.kernel-cmdline-extra=x\x00"}, false},
		"a string":          {map[string]string{"firmware/dmi/tables/DMI": "\x0b\x05\x00\x00\x01io.systemd.credential:a=b\x00\x00"}, true},
		"a binary string":   {map[string]string{"firmware/dmi/tables/DMI": "io.systemd.credential.binary:a=Yg==\x00"}, true},
		"QEMU, no driver":   {map[string]string{"bus/acpi/devices/QEMU0002:00/hid": "QEMU0002"}, true},
		"QEMU with nothing": {map[string]string{"bus/acpi/devices/QEMU0002:00/hid": "QEMU0002", "firmware/qemu_fw_cfg/by_name/etc/x": ""}, false},
		"QEMU with one":     {map[string]string{"firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/a/raw": ""}, true},
	} {
		sys := t.TempDir()
		for file, text := range c.files {
			at := filepath.Join(sys, file)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := FirmwareCredentials(sys); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
