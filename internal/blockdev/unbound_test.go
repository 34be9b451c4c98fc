package blockdev

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestUnboundDevices(t *testing.T) {
	sys := t.TempDir()
	for device, modalias := range map[string]string{
		"bus/pci/devices/0000:00:00.0":   "pci:v00008086d000029C0sv1bc06sc00i00",
		"bus/pci/devices/0000:00:02.0":   "pci:v00001000d00000030sv1bc01sc00i00",
		"bus/pci/devices/0000:00:03.0":   "pci:v00008086d000010D3sv1bc02sc00i00",
		"bus/pci/devices/0000:00:04.0":   "pci:v00001AF4d00001042sv1bc01sc00i00", // has a driver
		"bus/usb/devices/1-1:1.0":        "usb:v0781p5581ic08isc06",
		"bus/virtio/devices/virtio0":     "virtio:d00000002v00001AF4",
		"bus/virtio/devices/virtio1":     "",
		"bus/acpi/devices/LNXSYSTM:00":   "acpi:LNXSYSTM:",
		"bus/platform/devices/serial825": "platform:serial8250",
	} {
		if err := os.MkdirAll(filepath.Join(sys, device), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sys, device, "modalias"), []byte(modalias+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../drivers/virtio-pci", filepath.Join(sys, "bus/pci/devices/0000:00:04.0/driver")); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, device := range UnboundDevices(sys) {
		names = append(names, device.Name)
	}
	want := []string{"0000:00:02.0", "1-1:1.0", "virtio0", "0000:00:03.0", "0000:00:00.0"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if got := UnboundDevices(filepath.Join(sys, "nothing")); got != nil {
		t.Errorf("%v", got)
	}
}
