package observe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFirmware(t *testing.T) {
	const loader, systemd = "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "-8cf2644b-4b0b-428f-9387-6d876050dc67"
	wide := func(text string) string {
		return "\x06\x00\x00\x00" + strings.Join(strings.Split(text, ""), "\x00") + "\x00\x00\x00"
	}
	for _, c := range []struct {
		files map[string]string
		want  Firmware
		fails bool
	}{
		{},
		{files: map[string]string{
			"vars/LoaderDevicePartUUID" + loader: wide("7130C94A-213A-4E5A-8E26-6CCE9662F132"), "vars/StubPcrKernelImage" + loader: wide("11"),
			"sys/class/tpm/tpm0/tpm_version_major": "2\n",
		}, want: Firmware{LoaderPartition: "7130c94a-213a-4e5a-8e26-6cce9662f132", Measured: true, TPM2: true}},
		{files: map[string]string{"vars/HibernateLocation" + systemd: "", "sys/class/tpm/tpm0/tpm_version_major": "1\n"}, want: Firmware{Hibernated: true}},
		{files: map[string]string{"sys/firmware/acpi/tables/TPM2": ""}, want: Firmware{TPM2: true}},
		// Variables of others.
		{files: map[string]string{"vars/HibernateLocation" + loader: "", "vars/StubPcrKernelImage" + systemd: ""}},
		{files: map[string]string{"vars/LoaderDevicePartUUID" + loader: "x", "vars/HibernateLocation" + systemd: ""}, want: Firmware{Hibernated: true}, fails: true},
	} {
		directory := t.TempDir()
		for name, text := range c.files {
			file := filepath.Join(directory, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := ReadFirmware(filepath.Join(directory, "vars"), filepath.Join(directory, "sys")); got != c.want || (err != nil) != c.fails {
			t.Errorf("%q: %+v, %v", c.files, got, err)
		}
	}
}
