package scenario

import (
	"strings"
	"testing"
)

func TestReadVerdicts(t *testing.T) {
	const console = "[ 1.0] scenario: ok E1 /etc is complete\r\n[ 1.1] noise\n[ 1.2] scenario: FAILED E2 nothing is new: /etc: +hosts\n[ 1.3] scenario: end first\n"
	want := []string{"E1 /etc is complete", "E2 nothing is new", "E3"}
	findings, err := readVerdicts(console, "first", want)
	if err != nil || len(findings) != 3 || !findings[0].OK || findings[1].OK || findings[1].Detail != "/etc: +hosts" || findings[2].OK {
		t.Errorf("%v %v", findings, err)
	}
	for problem, call := range map[string]struct {
		console, phase string
		want           []string
	}{
		"did not come to the end": {console, "second", want},
		"nobody wants to know":    {console, "first", want[1:]},
		"judged twice":            {console + console, "first", want},
	} {
		if _, err := readVerdicts(call.console, call.phase, call.want); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v", problem, err)
		}
	}
}
