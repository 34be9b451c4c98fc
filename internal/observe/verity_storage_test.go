package observe

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func openForTest(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func TestStorageOfImageFiles(t *testing.T) {
	directory := t.TempDir()
	one, link, two := filepath.Join(directory, "one"), filepath.Join(directory, "link"), filepath.Join(directory, "two")
	if err := errors.Join(os.WriteFile(one, make([]byte, 5000), 0o600), os.Link(one, link), os.WriteFile(two, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	var all []*Storage
	for name, size := range map[string]int64{one: 5000, link: 5000, two: 0} {
		s, err := StorageOf(openForTest(t, name))
		if err != nil || s.Size != size || s.Number != "" {
			t.Fatalf("%s: %+v, %v", name, s, err)
		}
		if used, err := s.IsInUse(); used || err != nil {
			t.Errorf("%s is in use, %v", name, err)
		}
		all = append(all, s)
	}
	for _, s := range all {
		for _, other := range all {
			if same := (s.Name() == two) == (other.Name() == two); s.Is(other) != same {
				t.Errorf("%s is %s: %v", s.Name(), other.Name(), !same)
			}
		}
	}
	device := &Storage{File: all[0].File, Number: "7:0"}
	if device.Is(all[0]) || !device.Is(&Storage{Number: "7:0"}) || device.Is(&Storage{Number: "7:1"}) {
		t.Error("devices and files are mixed up")
	}
}

func TestStorageOfOtherThings(t *testing.T) {
	for _, name := range []string{t.TempDir(), os.DevNull} {
		if s, err := StorageOf(openForTest(t, name)); !errors.Is(err, ErrNoStorage) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// fakeDevices is a folder that stands for /sys, with a mapped device on a loop device.
func fakeDevices(t *testing.T) string {
	t.Helper()
	sys := t.TempDir()
	for file, text := range map[string]string{
		"devices/loop0/dev":               "7:0\n",
		"devices/loop0/loop/backing_file": "/img/data.img (deleted)\n",
		"devices/dm-3/dev":                "254:3\n",
		"devices/dm-3/dm/name":            "a\\x20b\n",
		"devices/cciss!c0d0/dev":          "104:0\n",
	} {
		file = filepath.Join(sys, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"dev/block/7:0": "../../devices/loop0", "dev/block/254:3": "../../devices/dm-3", "dev/block/104:0": "../../devices/cciss!c0d0",
		"devices/loop0/holders/dm-3": "../../dm-3",
	} {
		link = filepath.Join(sys, link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
	}
	return sys
}

func TestNamesOfDevices(t *testing.T) {
	sys := fakeDevices(t)
	for number, want := range map[string]string{"7:0": "/dev/loop0", "254:3": `/dev/mapper/a\x20b`, "104:0": "/dev/cciss/c0d0", "8:1": "8:1"} {
		if got := DevicePath(sys, number); got != want {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
	}
	for number, want := range map[string]string{"7:0": "/img/data.img (deleted)", "254:3": "", "8:1": ""} {
		if got := LoopFile(sys, number); got != want {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
	}
}

func TestNumbersOfPaths(t *testing.T) {
	for _, path := range []string{"/", os.DevNull, t.TempDir()} {
		if number, err := DeviceNumber(path); number != "" || err != nil {
			t.Errorf("%s: %q, %v", path, number, err)
		}
	}
	if number, err := DeviceNumber("/dev/preroot-no-such-disk"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q, %v", number, err)
	}
}

func TestFindDeviceUsers(t *testing.T) {
	const mounts = `36 1 254:3 / /mnt/a ro - ext4 /dev/mapper/x ro
37 1 254:3 /usr /mnt/b\040c ro - ext4 /dev/mapper/x ro
38 36 254:3 / /mnt/a ro - ext4 /dev/mapper/x ro
39 1 0:5 / /dev rw - devtmpfs dev rw
`
	sys := fakeDevices(t)
	for number, want := range map[string]DeviceUsers{
		"7:0":   {Devices: []string{`/dev/mapper/a\x20b`}},
		"254:3": {Mounts: []string{"/mnt/a", "/mnt/b c"}},
		"8:1":   {},
	} {
		if got, err := FindDeviceUsers(sys, mounts, number); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v, %v", number, got, want, err)
		}
	}
	if _, err := FindDeviceUsers(sys, "no mountinfo", "7:0"); err == nil {
		t.Error("a damaged table was read")
	}
}
