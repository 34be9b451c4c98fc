package scenario

import (
	"os"
	"strings"
	"testing"
)

func readSample(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/report.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParseReport(t *testing.T) {
	r, err := Parse("noise\r\nTESTBED-BEGIN\r\n\r\n--- state\r\nrunning\r\n\r\n--- empty\r\n\r\n--- keys\r\na=1\r\nb=\r\n--- not a section\r\n\r\nTESTBED-END\r\nafter\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := r.Text("state"); err != nil || text != "running" {
		t.Errorf("state: %q, %v", text, err)
	}
	if err := r.expectEmpty("empty"); err != nil {
		t.Error(err)
	}
	if value, err := r.Value("keys", "a"); err != nil || value != "1" {
		t.Errorf("a: %q, %v", value, err)
	}
	if value, err := r.Value("keys", "b"); err != nil || value != "" {
		t.Errorf("b: %q, %v", value, err)
	}
	if _, err := r.Value("keys", "c"); err == nil {
		t.Error("a key that is not there has a value")
	}
	if lines, _ := r.Lines("keys"); len(lines) != 3 {
		t.Errorf("keys: %q", lines)
	}
	if _, err := r.Lines("nothing"); err == nil {
		t.Error("a section that is not there was found")
	}
	if len(r.after) == 0 || r.after[0] != "after" {
		t.Errorf("after the report: %q", r.after)
	}
}

func TestIncompleteReportsAreErrors(t *testing.T) {
	for name, c := range map[string]struct{ console, want string }{
		"no report":       {"Kernel panic", "no TESTBED-BEGIN"},
		"no end":          {"TESTBED-BEGIN\n--- state\n", "no TESTBED-END"},
		"end before":      {"TESTBED-END\nTESTBED-BEGIN\n", "no TESTBED-END"},
		"section twice":   {"TESTBED-BEGIN\n--- a\n--- a\nTESTBED-END\n", "twice"},
		"inside a line":   {"x TESTBED-BEGIN\nTESTBED-END\n", "no TESTBED-BEGIN"},
		"nothing at all":  {"", "no TESTBED-BEGIN"},
		"only carriage":   {"\r\n\r\n", "no TESTBED-BEGIN"},
		"begin, then end": {"TESTBED-BEGIN", "no TESTBED-END"},
	} {
		if _, err := Parse(c.console); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(readSample(f))
	f.Add("TESTBED-BEGIN\n--- etc-mounts\n/etc overlay x\n--- versions\nsystemd \nTESTBED-END\n")
	f.Add("TESTBED-BEGIN\n--- confext-json\n[{\"hierarchy\":\"/etc\",\"extensions\":\"none\"}]\n--- mountinfo\n1 2 - x y\nTESTBED-END\n")
	f.Fuzz(func(t *testing.T, console string) {
		r, err := Parse(console)
		if err != nil {
			return
		}
		for _, finding := range Check(r, "7.2") {
			if finding.OK && finding.Detail == "" {
				t.Errorf("%s is proved by nothing", finding.Point)
			}
		}
	})
}
