package mountapi

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestErrorsSayWhatWasRefusedAndWhy(t *testing.T) {
	for want, err := range map[string]*Error{
		"open file system type (nosuchfs): no such device": {
			Operation: "open file system type", FSType: "nosuchfs", Errno: unix.ENODEV},
		"mount (ext4) /dev/vda3 at /sysroot: structure needs cleaning (EXT4-fs: bad geometry)": {
			Operation: "mount", FSType: "ext4", Source: "/dev/vda3", Target: "/sysroot", Errno: unix.EUCLEAN,
			KernelLog: "EXT4-fs: bad geometry"},
		"move mount /proc at /sysroot/proc: invalid argument": {
			Operation: "move mount", Source: "/proc", Target: "/sysroot/proc", Errno: unix.EINVAL},
		"detach mount at /x: no such file or directory": {Operation: "detach mount", Target: "/x", Errno: unix.ENOENT},
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err.Error(), want)
		}
		if !errors.Is(err, err.Errno) {
			t.Errorf("%v does not unwrap", err)
		}
	}
}

func TestComplaint(t *testing.T) {
	for message, want := range map[string]string{
		"e overlay: missing lowerdir\n": "overlay: missing lowerdir",
		"w a warning\n":                 "a warning",
		"i only information\n":          "",
		"e\n":                           "",
		"e \n":                          "",
		"error without a mark":          "",
		"":                              "",
	} {
		if got := complaint(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

func FuzzComplaint(f *testing.F) {
	f.Add("e overlay: missing lowerdir\n")
	f.Add("i x")
	f.Fuzz(func(t *testing.T, message string) {
		if got := complaint(message); got != "" && message[0] != 'e' && message[0] != 'w' {
			t.Errorf("%q: %q", message, got)
		}
	})
}

func TestLongOptionsAreRefusedBeforeTheKernelDoes(t *testing.T) {
	long := string(make([]byte, maxOption+1))
	for _, o := range []Option{{long, ""}, {"lowerdir+", long}} {
		// No descriptor: the kernel must not be asked.
		if err := setOption(-1, o); err != unix.ENAMETOOLONG {
			t.Errorf("%d and %d bytes: %v", len(o.Key), len(o.Value), err)
		}
	}
}

func TestReasons(t *testing.T) {
	complaints := []string{
		"device-mapper: table: 254:0: verity: Bad",
		"EXT4-fs (vda3): bad geometry",
		"EXT4-fs (vda3): bad geometry",
		"I/O error, dev vda, sector 8 op 0x0",
		"blk_update: vda33 is fine, vda3 is not",
		"EXT4-fs (vda3): three", "EXT4-fs (vda3): four",
	}
	for _, test := range []struct {
		fsType, source string
		want           []string
	}{
		{"ext4", "/dev/vda3", []string{"EXT4-fs (vda3): bad geometry", "blk_update: vda33 is fine, vda3 is not", "EXT4-fs (vda3): three"}},
		{"vfat", "/dev/vda", []string{"I/O error, dev vda, sector 8 op 0x0"}},
		{"tmpfs", "vda3", nil},
		{"tmpfs", "", nil},
		{"tmpfs", "/dev/", nil},
	} {
		if got := reasons(complaints, test.fsType, test.source); !slices.Equal(got, test.want) {
			t.Errorf("%s, %s: %q, want %q", test.fsType, test.source, got, test.want)
		}
	}
}

func TestContainsWord(t *testing.T) {
	for _, test := range []struct {
		text, word string
		want       bool
	}{
		{"(vda)", "vda", true}, {"vda", "vda", true}, {"vda1 vda2", "vda", false}, {"xvda", "vda", false}, {"dm-1 dm-10", "dm-10", true},
		{"dm-10", "dm-1", false}, {"vda1,vda", "vda", true}, {"anything", "", false}, {"", "vda", false}, {"", "", false},
	} {
		if got := containsWord(test.text, test.word); got != test.want {
			t.Errorf("%q in %q: %v", test.word, test.text, got)
		}
	}
}
