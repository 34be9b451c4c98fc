package initramfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/preroot/preroot/initramfs/kerneltree"
	"github.com/preroot/preroot/internal/mountinfo"
)

// Machine is where the running machine is looked at. The zero value stands for the usual places.
type Machine struct {
	Sys       string // sysfs
	MountInfo string // /proc/self/mountinfo
}

// requests finds what the machine's disks and keyboards hang on, from the device up to the bus, and the file systems of
// / and /usr. The names are looked up in the index of the kernel that the image is for, which need not be
// the running one; what that kernel does not know as a module is built in or of no use to it.
func (m Machine) requests(index *kerneltree.Index) ([]request, error) {
	devices, err := m.devices()
	if err != nil {
		return nil, err
	}
	f := finder{machine: m, index: index, seen: make(map[string]bool)}
	for _, d := range devices {
		f.climb(d.path, d.name)
	}
	if len(f.requests) == 0 && len(devices) == 0 {
		return nil, fmt.Errorf("look at this machine: no disk in %s", m.Sys)
	}
	types, err := m.fileSystems()
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		f.add(request{name: "fs-" + t.kind, reason: "this machine: " + t.kind + " on " + t.mountPoint, optional: true})
	}
	return f.requests, nil
}

// device is a disk or a keyboard with its place in sysfs, links resolved.
type device struct{ name, path string }

// devices lists the disks that some hardware is behind, and the input devices of USB, serio and the hypervisors' buses.
func (m Machine) devices() ([]device, error) {
	var devices []device
	for _, class := range []string{"class/block", "class/input"} {
		entries, err := os.ReadDir(filepath.Join(m.Sys, class))
		if os.IsNotExist(err) && class == "class/input" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at this machine: %w", err)
		}
		for _, entry := range entries {
			path, err := filepath.EvalSymlinks(filepath.Join(m.Sys, class, entry.Name()))
			if err != nil {
				continue // it went away
			}
			if class == "class/block" && strings.Contains(path, "/devices/virtual/") {
				continue // loop, zram, dm: what is below them is listed itself
			}
			if class == "class/input" && !isKeyboardBus(path, entry.Name()) {
				continue
			}
			devices = append(devices, device{entry.Name(), path})
		}
	}
	return devices, nil
}

// isKeyboardBus tells input devices that a person may type on from a laptop's lid and a sound card's plugs.
func isKeyboardBus(path, name string) bool {
	if !strings.HasPrefix(name, "event") {
		return false
	}
	for _, bus := range []string{"/usb", "/serio", "/VMBUS", "/vmbus", "/xen"} {
		if strings.Contains(path, bus) {
			return true
		}
	}
	return false
}

type fileSystem struct{ kind, mountPoint string }

// fileSystems gives the types of / and /usr, and what is below them if they are overlays.
func (m Machine) fileSystems() ([]fileSystem, error) {
	text, err := os.Open(m.MountInfo)
	if err != nil {
		return nil, fmt.Errorf("look at this machine: %w", err)
	}
	defer text.Close()
	mounts, err := mountinfo.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("look at this machine: %w", err)
	}
	var types []fileSystem
	for _, mount := range mounts {
		if mount.Target == "/" || mount.Target == "/usr" {
			types = append(types, fileSystem{mount.FSType, mount.Target})
		}
	}
	return types, nil
}

// finder collects the modules of devices.
type finder struct {
	machine  Machine
	index    *kerneltree.Index
	requests []request
	seen     map[string]bool
}

func (f *finder) add(r request) {
	if !f.seen[r.name] {
		f.seen[r.name] = true
		f.requests = append(f.requests, r)
	}
}

// climb goes from a device to the root of sysfs' tree and asks for what drives each step: the modules of its modalias, and
// the driver that has it now, by which buses without aliases are found.
func (f *finder) climb(path, name string) {
	top := filepath.Join(f.machine.Sys, "devices")
	if resolved, err := filepath.EvalSymlinks(top); err == nil {
		top = resolved
	}
	var steps []string
	for strings.HasPrefix(path, top+"/") {
		steps = append(steps, path)
		path = filepath.Dir(path)
	}
	for _, step := range slices.Backward(steps) {
		if alias, err := os.ReadFile(filepath.Join(step, "modalias")); err == nil {
			for _, module := range f.index.Match(string(alias)) {
				f.add(request{name: module, reason: "this machine: " + name, byAlias: true})
			}
		}
		if module, err := os.Readlink(filepath.Join(step, "driver/module")); err == nil {
			f.add(request{name: filepath.Base(module), reason: "this machine: " + name, optional: true, byAlias: true})
		}
		// A bus that came with its driver, such as SCSI's, is above its devices only by name.
		if subsystem, err := os.Readlink(filepath.Join(step, "subsystem")); err == nil && filepath.Base(subsystem) == "block" {
			f.addDriverOfDisk(step, name)
		}
	}
}

// addDriverOfDisk: a disk's driver is that of the device it belongs to, and mmc's only bears its module in /sys/bus.
func (f *finder) addDriverOfDisk(step, name string) {
	driver, err := filepath.EvalSymlinks(filepath.Join(step, "device/driver"))
	if err != nil {
		return
	}
	if module, err := os.Readlink(filepath.Join(driver, "module")); err == nil {
		f.add(request{name: filepath.Base(module), reason: "this machine: " + name, optional: true, byAlias: true})
	}
}
