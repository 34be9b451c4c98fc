package bootreport

import (
	"fmt"
	"strings"
	"testing"
)

func TestRulesAreShown(t *testing.T) {
	r := New("6.12", "", "sealed")
	if strings.Contains(r.Text(), "rules") {
		t.Error("rules without any")
	}
	r.Rules = &Rules{Notes: []string{"there is no list"}}
	for i := range maxRuleActions + 7 {
		r.Rules.Add(RuleAction{Rule: "R7", Do: "remove", Path: fmt.Sprintf("/etc/%d\x1b", i), Why: "as shipped"})
	}
	r.Rules.Add(RuleAction{Rule: "R1", Do: "remove", Path: "/flag", Why: "done", Error: "read-only"})
	text := r.Text()
	for _, want := range []string{"/etc rules: 508 changes\n", "R7 remove /etc/0? (as shipped)", "and 7 more", "R1 remove /flag (done), FAILED: read-only", "there is no list"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%.2000s", want, text)
		}
	}
}
