package kernellog

import (
	"strings"
	"testing"
)

func TestComplaint(t *testing.T) {
	for record, want := range map[string]string{
		"3,700,8123456,-;device-mapper: table: 253:1: verity: Bad\n":                        "device-mapper: table: 253:1: verity: Bad",
		"4,700,8123456,-,caller=T1;EXT4-fs (vda3): bad\n SUBSYSTEM=block\n DEVICE=b254:3\n": "EXT4-fs (vda3): bad",
		"0,1,2,-;emergency; with a semicolon\n":                                             "emergency; with a semicolon",
		"3,1,2,c;no line end":                                                               "no line end",
		// Not for complaints: information, and what programs wrote.
		"5,702,8123458,-;notice\n":            "",
		"6,702,8123458,-;information\n":       "",
		"27,702,8123458,-;preroot: failed\n":  "",
		"11,702,8123458,-;a user's program\n": "",
		// No records.
		"":                         "",
		"3,1,2,-;":                 "",
		"3,1,2,-;\n":               "",
		"3,1,2,-":                  "",
		"x,1,2,-;text\n":           "",
		"-3,1,2,-;text\n":          "",
		"99999999999999999;text\n": "",
		";text\n":                  "",
	} {
		if got, ok := complaint(record); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", record, got, ok, want)
		}
	}
}

func TestAMarkWithoutALogFindsNothing(t *testing.T) {
	m := Mark{-1}
	if texts := m.Complaints(); texts != nil {
		t.Errorf("%q", texts)
	}
	m.Close()
}

func FuzzComplaint(f *testing.F) {
	f.Add("3,700,8123456,-;device-mapper: bad\n SUBSYSTEM=block\n")
	f.Add("6,1,1,-;fine")
	f.Add(";;\n")
	f.Fuzz(func(t *testing.T, record string) {
		text, ok := complaint(record)
		if ok != (text != "") || strings.Contains(text, "\n") || !strings.Contains(record, ";"+text) && ok {
			t.Errorf("%q: %q, %v", record, text, ok)
		}
	})
}
