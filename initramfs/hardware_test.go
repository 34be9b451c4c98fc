package initramfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makeMachine writes a sysfs with a virtio disk behind PCI, a loop device, a USB keyboard and a sound card's plug, and a
// table of mounts with erofs on /usr.
func makeMachine(t *testing.T) Machine {
	t.Helper()
	sys := t.TempDir()
	file := func(name, text string) { writeFile(t, filepath.Join(sys, name), text) }
	link := func(name, target string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(sys, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(sys, target), 0o755); err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Rel(filepath.Dir(filepath.Join(sys, name)), filepath.Join(sys, target))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(relative, filepath.Join(sys, name)); err != nil {
			t.Fatal(err)
		}
	}
	disk := "devices/pci0000:00/0000:00:02.0/virtio0"
	file("devices/pci0000:00/0000:00:02.0/modalias", "pci:v00001AF4d00001001sv\n")
	file(disk+"/modalias", "virtio:d00000002v00001AF4\n")
	link(disk+"/driver", "bus/virtio/drivers/virtio_blk")
	link("bus/virtio/drivers/virtio_blk/module", "module/virtio_blk")
	link("class/block/vda", disk+"/block/vda")
	link("class/block/loop0", "devices/virtual/block/loop0")
	file("devices/virtual/block/modalias", "snd-x\n")
	link("class/input/event0", "devices/pci0000:00/0000:00:03.0/usb1/1-1/input/input0/event0")
	link("class/input/mouse0", "devices/pci0000:00/0000:00:03.0/usb1/1-1/input/input0/mouse0")
	file("devices/pci0000:00/0000:00:03.0/modalias", "crc32c\n")
	link("class/input/event1", "devices/pci0000:00/0000:00:04.0/sound/card0/input1/event1")
	file("devices/pci0000:00/0000:00:04.0/modalias", "snd-x\n")
	mounts := filepath.Join(t.TempDir(), "mountinfo")
	writeFile(t, mounts, "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /usr ro - erofs /dev/b ro\n3 1 0:1 / /proc rw - proc proc rw\n")
	return Machine{Sys: sys, MountInfo: mounts}
}

func TestThisMachine(t *testing.T) {
	o := testOptions(t)
	o.Hardware, o.Modules, o.Machine = HardwareThis, nil, makeMachine(t)
	addMoreModules(t, o.KernelTree, "overlay", "squashfs", "loop")
	result, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range result.Modules {
		got = append(got, m.Name+": "+m.Reason)
	}
	want := []string{
		"virtio_blk: this machine: vda",
		"crc32c_intel: this machine: event0",
		"libcrc32c: needed by erofs",
		"erofs: this machine: erofs on /usr",
		"overlay: for /usr and extensions",
		"squashfs: for /usr and extensions",
		"loop: for /usr and extensions",
		"dm_mod: for /usr and extensions",
		"dm_bufio: needed by dm_verity",
		"dm_verity: for /usr and extensions",
	}
	if !slices.Equal(got, want) {
		t.Errorf("modules are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestThisMachineCannotBeLookedAt(t *testing.T) {
	for name, test := range map[string]struct {
		change func(m *Machine)
		want   string
	}{
		"no sysfs": {func(m *Machine) { m.Sys = "/no/such" }, "look at this machine: open /no/such/class/block"},
		"no disk": {func(m *Machine) {
			os.Remove(filepath.Join(m.Sys, "class/block/vda"))
			os.RemoveAll(filepath.Join(m.Sys, "class/input"))
		}, "no disk in"},
		"no mounts": {func(m *Machine) { m.MountInfo = "/no/such" }, "look at this machine: open /no/such"},
	} {
		o := testOptions(t)
		o.Hardware, o.Modules, o.Machine = HardwareThis, nil, makeMachine(t)
		test.change(&o.Machine)
		if _, err := Build(o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestGenericNamesWhatIsMissing: the portable set is no error where a kernel lacks most of it; what opens /usr is.
func TestGenericNamesWhatIsMissing(t *testing.T) {
	o := testOptions(t)
	o.Hardware, o.Modules = HardwareGeneric, nil
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), "nor built in: overlay, squashfs, loop") {
		t.Errorf("got %v", err)
	}
	addMoreModules(t, o.KernelTree, "overlay", "squashfs", "loop", "hv_storvsc", "xen-blkfront")
	result, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	names := namesOf(result)
	for _, name := range []string{"virtio_blk", "hv_storvsc", "xen_blkfront", "dm_verity"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not in %v", name, names)
		}
	}
	if !slices.Contains(result.Missing, "vmw_pvscsi") || slices.Contains(result.Missing, "nvme") || !slices.Contains(result.BuiltIn, "nvme") {
		t.Errorf("missing %v, built in %v", result.Missing, result.BuiltIn)
	}
	if !slices.Equal(result.Manifest.Missing, result.Missing) {
		t.Error("the manifest says something else")
	}
	seen := make(map[string]bool)
	for _, group := range GenericHardware {
		for _, name := range group.Modules {
			if seen[group.Name+name] || strings.Contains(name, "-") {
				t.Errorf("%s: %s twice, or not as the kernel writes it", group.Name, name)
			}
			seen[group.Name+name] = true
		}
	}
}

func TestHardwareByName(t *testing.T) {
	o := testOptions(t)
	o.Hardware, o.Modules = "virtio_blk,fs-ext4,", nil
	addMoreModules(t, o.KernelTree, "overlay", "squashfs", "loop")
	result, err := Build(o)
	if err != nil || result.Modules[0].Name != "virtio_blk" || result.Modules[0].Reason != "asked for" || !slices.Contains(namesOf(result), "dm_verity") {
		t.Errorf("%+v, %v", result, err)
	}
	o.Hardware = "nosuch"
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("got %v", err)
	}
}
