package observe

import "testing"

func TestListsFileSystem(t *testing.T) {
	const text = "nodev\tsysfs\nnodev\ttmpfs\n\text4\n\tvfat\n"
	for fsType, want := range map[string]bool{
		"ext4": true, "tmpfs": true, "vfat": true, "ext": false, "ext44": false, "nodev": false, "": false, "erofs": false,
	} {
		if got := listsFileSystem(text, fsType); got != want {
			t.Errorf("%q: %v", fsType, got)
		}
	}
	if listsFileSystem("", "") || listsFileSystem("\n\n", "") {
		t.Error("an empty text lists something")
	}
}

func TestMemoryField(t *testing.T) {
	const text = "MemTotal:       24658580 kB\nMemFree:         1 kB\nMemAvailable:\t23267048 kB\nHugePages_Total:       0\nOdd:\n"
	for key, want := range map[string]string{
		"MemTotal": "24658580", "MemAvailable": "23267048", "HugePages_Total": "0", "Mem": "", "Odd": "", "": "", "kB": "",
	} {
		if got := memoryField(text, key); got != want {
			t.Errorf("%q: %q", key, got)
		}
	}
}

func FuzzProc(f *testing.F) {
	f.Add("nodev\tsysfs\n\text4\n", "ext4")
	f.Add("MemTotal: 5 kB\n", "MemTotal")
	f.Fuzz(func(t *testing.T, text, key string) {
		listsFileSystem(text, key)
		memoryField(text, key)
	})
}
