package devmapper

import (
	"slices"
	"strings"
	"testing"
)

func TestReason(t *testing.T) {
	for _, test := range []struct {
		complaints []string
		want       string
	}{
		{nil, ""},
		{[]string{"EXT4-fs (vda3): bad", "preroot: device-mapper: table: 253:1: x"}, ""},
		{[]string{"device-mapper: table: 253:1: verity: Data device lookup failed (-ENOENT)", "device-mapper: ioctl: error adding target to table"},
			"verity: Data device lookup failed"},
		{[]string{"device-mapper: table: 253:1: verity: Bad (-EINVAL) thing (-E)"}, "verity: Bad (-EINVAL) thing"},
		{[]string{"device-mapper: table: 253:1: verity: Bad (-EINVAL), too"}, "verity: Bad (-EINVAL), too"},
		{[]string{"device-mapper: table: 253:1: verity: Bad (-E x)"}, "verity: Bad (-E x)"},
		{[]string{"device-mapper: verity: something", "device-mapper: verity: else"}, "verity: else"},
		// Twice the same, the first time with the word that it is about.
		{[]string{"device-mapper: verity: Unrecognized verity feature request: bogus",
			"device-mapper: table: 253:1: verity: Unrecognized verity feature request (-EINVAL)", "device-mapper: ioctl: error adding target to table"},
			"verity: Unrecognized verity feature request: bogus"},
		// The table of another device does not count, and its own counts before all.
		{[]string{"device-mapper: table: 253:12: linear: another device", "device-mapper: table: 253:1"}, ""},
		{[]string{"device-mapper: table: 253:1: own", "device-mapper: verity: 7:0: data block 5 is corrupted"}, "own"},
		{[]string{"device-mapper: verity: 7:0: data block 5 is corrupted", "device-mapper: table: 253:1: own"}, "own"},
	} {
		if got := reason(test.complaints, 253, 1); got != test.want {
			t.Errorf("%q: %q, want %q", test.complaints, got, test.want)
		}
	}
}

func FuzzReason(f *testing.F) {
	f.Add("device-mapper: table: 253:1: verity: Bad (-EINVAL)\ndevice-mapper: verity: other (-E)")
	f.Add("device-mapper: ioctl: error adding target to table\nx")
	f.Fuzz(func(t *testing.T, text string) {
		complaints := strings.Split(text, "\n")
		got := reason(complaints, 253, 1)
		if got != "" && !slices.ContainsFunc(complaints, func(s string) bool {
			return strings.HasPrefix(s, "device-mapper: ") && strings.Contains(s, got)
		}) {
			t.Errorf("%q: %q", text, got)
		}
	})
}
