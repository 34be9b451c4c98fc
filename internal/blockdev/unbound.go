package blockdev

import (
	"cmp"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// Unbound is a device that no driver took.
type Unbound struct{ Bus, Name, Modalias string }

// UnboundDevices returns the devices below a sysfs mounted at sys that have a modalias and no driver, those first that disks
// are likely to hang on. Buses whose devices live without drivers (acpi, cpu, platform devices of the board) are left out.
func UnboundDevices(sys string) []Unbound {
	var found []Unbound
	for _, bus := range diskBuses {
		files, err := filepath.Glob(path.Join(sys, "bus", bus.name, "devices/*/modalias"))
		if err != nil {
			continue
		}
		for _, file := range files {
			device := path.Dir(file)
			if _, err := os.Lstat(path.Join(device, "driver")); err == nil {
				continue
			}
			if alias := readLine(file); alias != "" {
				found = append(found, Unbound{bus.name, path.Base(device), alias})
			}
		}
	}
	sort.Slice(found, func(i, j int) bool {
		a, b := found[i], found[j]
		return cmp.Or(a.rank()-b.rank(), strings.Compare(a.Bus, b.Bus), strings.Compare(a.Name, b.Name)) < 0
	})
	return found
}

// diskBuses are the buses with devices that disks hang on, the likelier ones lower.
var diskBuses = []struct {
	name string
	rank int
}{
	{"virtio", 1}, {"nvme", 1}, {"scsi", 1}, {"vmbus", 1}, {"xen", 1}, {"mmc", 1}, {"sdio", 2}, {"usb", 2}, {"pci", 3}, {"ide", 2}, {"hid", 5},
}

// rank is lower the likelier a disk is behind the device.
func (u Unbound) rank() int {
	switch {
	// PCI class 01 is mass storage, USB interface class 08 too (pci.ids, usb.org).
	case u.Bus == "pci" && strings.Contains(u.Modalias, "bc01"), u.Bus == "usb" && strings.Contains(u.Modalias, "ic08"):
		return 0
	// PCI class 06 are bridges, which need no driver.
	case u.Bus == "pci" && strings.Contains(u.Modalias, "bc06"):
		return 9
	}
	for _, bus := range diskBuses {
		if bus.name == u.Bus {
			return bus.rank
		}
	}
	return 0
}
