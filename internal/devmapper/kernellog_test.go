package devmapper

import (
	"strings"
	"testing"
)

func TestComplaint(t *testing.T) {
	for _, test := range []struct {
		record, want string
		own          bool
	}{
		{"3,700,8123456,-;device-mapper: table: 253:1: verity: Data device lookup failed (-ENOENT)\n",
			"verity: Data device lookup failed (-ENOENT)", true},
		{"3,700,8123456,-;device-mapper: table: 253:1: verity: Bad\n SUBSYSTEM=block\n DEVICE=b253:1\n", "verity: Bad", true},
		{"27,700,8123456,-;device-mapper: table: 253:1: verity: with a facility\n", "verity: with a facility", true},
		{"4,700,8123456,-;device-mapper: verity: a warning\n", "verity: a warning", false},
		{"3,701,8123457,-;device-mapper: table: 253:12: linear: another device\n", "", false},
		{"3,701,8123457,-;device-mapper: ioctl: error adding target to table\n", "", false},
		{"6,702,8123458,-;device-mapper: verity: sha256 using \"sha256-lib\"\n", "", false},
		{"3,703,8123459,-;preroot: device-mapper: table: 253:1: a quotation\n", "", false},
		{"x,703;device-mapper: table: 253:1: no priority\n", "", false},
		{"device-mapper: table: 253:1: no prefix\n", "", false},
		{"3,1,2,-;", "", false},
		{"", "", false},
	} {
		if got, own := complaint(test.record, 253, 1); got != test.want || own != test.own {
			t.Errorf("%q: %q, %v; want %q, %v", test.record, got, own, test.want, test.own)
		}
	}
}

func FuzzComplaint(f *testing.F) {
	f.Add("3,700,8123456,-;device-mapper: table: 253:1: verity: Bad\n SUBSYSTEM=block\n")
	f.Add("6,1,1,-;device-mapper: verity: fine")
	f.Add(";;\n")
	f.Fuzz(func(t *testing.T, record string) {
		text, own := complaint(record, 253, 1)
		if strings.Contains(text, "\n") || len(text) > len(record) || (own && !strings.Contains(record, "253:1: ")) {
			t.Errorf("%q: %q, %v", record, text, own)
		}
	})
}

func TestAClosedLogHasNoReason(t *testing.T) {
	log := kernelLog{-1}
	if got := log.reason(1, 2); got != "" {
		t.Error(got)
	}
	log.close()
}
