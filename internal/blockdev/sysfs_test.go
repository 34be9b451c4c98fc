package blockdev

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// makeSysfs lays out a tree as sysfs does: files below devices/, links to their
// directories in class/block and bus/*/devices.
func makeSysfs(t *testing.T, files map[string]string, links map[string]string) string {
	t.Helper()
	sys := t.TempDir()
	for name, text := range files {
		file := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range links {
		link := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Rel(filepath.Dir(link), filepath.Join(sys, target))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(relative, link); err != nil {
			t.Fatal(err)
		}
	}
	return sys
}

func TestList(t *testing.T) {
	const vda, nvme, raid = "devices/pci0000:00/0000:00:04.0/virtio1/block/vda", "devices/pci/nvme/nvme0/nvme0n1", "devices/pci/block/cciss!c0d0"
	sys := makeSysfs(t, map[string]string{
		vda + "/dev":            "254:0\n",
		vda + "/size":           "4194304\n",
		vda + "/vda2/dev":       "254:2\n",
		vda + "/vda2/size":      "2048\n",
		vda + "/vda2/start":     "40960\n",
		vda + "/vda2/partition": "2\n",
		nvme + "/dev":           "259:0\n",
		nvme + "/size":          "8\n",

		nvme + "/nvme0n1p128/dev":        "259:300\n",
		nvme + "/nvme0n1p128/size":       "1\n",
		nvme + "/nvme0n1p128/start":      "0\n",
		nvme + "/nvme0n1p128/partition":  "128\n",
		raid + "/dev":                    "104:0\n",
		raid + "/size":                   "16\n",
		raid + "/cciss!c0d0p1/dev":       "104:1\n",
		raid + "/cciss!c0d0p1/size":      "8\n",
		raid + "/cciss!c0d0p1/start":     "8\n",
		raid + "/cciss!c0d0p1/partition": "1",

		// Left out: without a medium, hidden (nvme multipath), or with nonsense.
		"devices/virtual/block/loop0/dev":  "7:0\n",
		"devices/virtual/block/loop0/size": "0\n",
		"devices/pci/nvme0c0n1/size":       "8\n",
		"devices/odd/sda/dev":              "8:0\n",
		"devices/odd/sda/size":             "a lot\n",
		"devices/odd/sdb/dev":              "8:16\n",
		"devices/odd/sdb/size":             "-8\n",
		"devices/odd/sdc/dev":              "8:32\n",
		"devices/odd/sdc/size":             "9223372036854775807\n",
		"devices/odd/sdd/dev":              "8:48\n",
		"devices/odd/sde/dev":              "\n8:64\n",
		"devices/odd/sde/size":             "8\n",
	}, map[string]string{
		"class/block/vda": vda, "class/block/vda2": vda + "/vda2",
		"class/block/nvme0n1": nvme, "class/block/nvme0n1p128": nvme + "/nvme0n1p128",
		"class/block/cciss!c0d0": raid, "class/block/cciss!c0d0p1": raid + "/cciss!c0d0p1",
		"class/block/loop0": "devices/virtual/block/loop0", "class/block/nvme0c0n1": "devices/pci/nvme0c0n1",
		"class/block/sda": "devices/odd/sda", "class/block/sdb": "devices/odd/sdb", "class/block/sdc": "devices/odd/sdc",
		"class/block/sdd": "devices/odd/sdd", "class/block/sde": "devices/odd/sde",
		"class/block/gone": "devices/gone",
	})
	got, err := List(sys)
	if err != nil {
		t.Fatal(err)
	}
	want := []Device{
		{Name: "cciss!c0d0", Number: "104:0", Size: 16 * 512},
		{Name: "cciss!c0d0p1", Number: "104:1", Size: 8 * 512, Partition: 1, Start: 8 * 512, Disk: "cciss!c0d0"},
		{Name: "nvme0n1", Number: "259:0", Size: 4096},
		{Name: "nvme0n1p128", Number: "259:300", Size: 512, Partition: 128, Disk: "nvme0n1"},
		{Name: "vda", Number: "254:0", Size: 2 << 30},
		{Name: "vda2", Number: "254:2", Size: 1 << 20, Partition: 2, Start: 20 << 20, Disk: "vda"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestListWithoutBlockDevices(t *testing.T) {
	if devices, err := List(t.TempDir()); devices != nil || err != nil {
		t.Errorf("%v, %v", devices, err)
	}
	sys := makeSysfs(t, map[string]string{"class/block": "a file"}, nil)
	if devices, err := List(sys); err == nil || !strings.HasPrefix(err.Error(), "list block devices: ") {
		t.Errorf("%v, %v", devices, err)
	}
}

func TestNode(t *testing.T) {
	for name, want := range map[string]string{"vda1": "/dev/vda1", "cciss!c0d0p1": "/dev/cciss/c0d0p1", "dm-0": "/dev/dm-0"} {
		if got := (Device{Name: name}).Node(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestModaliases(t *testing.T) {
	sys := makeSysfs(t, map[string]string{
		"devices/a/modalias": "pci:v00001AF4d00001001\n",
		"devices/b/modalias": "pci:v00001AF4d00001001\n",
		"devices/c/modalias": "virtio:d00000002v00001AF4\n",
		"devices/d/modalias": "\n",
		"devices/e/uevent":   "",
		"devices/f/modalias": "of:NgpioT<NULL>Ca,b", // without a line end
		"bus/empty/drivers":  "",
	}, map[string]string{
		"bus/pci/devices/a": "devices/a", "bus/pci/devices/b": "devices/b", "bus/virtio/devices/c": "devices/c",
		"bus/pci/devices/d": "devices/d", "bus/pci/devices/e": "devices/e", "bus/platform/devices/f": "devices/f",
		"bus/pci/devices/gone": "devices/gone",
	})
	want := []string{"pci:v00001AF4d00001001", "of:NgpioT<NULL>Ca,b", "virtio:d00000002v00001AF4"}
	if got := Modaliases(sys); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Modaliases(t.TempDir()); got != nil {
		t.Errorf("%q in an empty sysfs", got)
	}
}

func TestSectorSizeOfWhatIsNoBlockDevice(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := SectorSize(file); got != 512 {
		t.Error(got)
	}
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"4194304", "-1", "9223372036854775807", "0x10", "", "1\n2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if number := parseNumber(text); number < 0 || number*512 < number {
			t.Errorf("%q: %d", text, number)
		}
	})
}
