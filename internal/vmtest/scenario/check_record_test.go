package scenario

import (
	"strings"
	"testing"
)

func TestNoRecord(t *testing.T) {
	sample := readSample(t)
	begin := strings.Index(sample, "--- preroot-report\n") + len("--- preroot-report\n")
	end := begin + strings.IndexByte(sample[begin:], '\n')
	found := checkSample(t, sample[:begin]+sample[end:])
	for point, want := range map[string]string{
		"6 preroot saw an empty old root":                                            "no /run/preroot/report.json",
		"6 preroot's record is as docs/report.schema.json says":                      "read document: EOF",
		"6 preroot's record has devices, steps, versions and who gave the root hash": "unexpected end",
	} {
		if f := found[point]; f.OK || !strings.Contains(f.Detail, want) {
			t.Errorf("%s: %+v", point, f)
		}
	}
}
