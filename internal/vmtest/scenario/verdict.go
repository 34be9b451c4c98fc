package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Marks of the judge's lines on the console (internal/vmtest/scenario/judge).
const (
	verdictOK     = "scenario: ok "
	verdictFailed = "scenario: FAILED "
	verdictEnd    = "scenario: end "
)

// readVerdicts makes a Finding of each line of the judge. A thing that was wanted and not judged is a Finding that failed. It is an error if something was
// judged that nobody wanted, if something was judged twice, and if the judge did not come to its end.
func readVerdicts(console, phase string, want []string) ([]Finding, error) {
	var findings []Finding
	var problems []error
	ended := false
	for line := range strings.SplitSeq(console, "\n") {
		line = strings.TrimRight(line, "\r")
		var f Finding
		if _, name, found := strings.Cut(line, verdictOK); found {
			f = Finding{Point: name, OK: true, Detail: "seen in the guest"}
		} else if _, text, found := strings.Cut(line, verdictFailed); found {
			f.Point, f.Detail, _ = strings.Cut(text, ": ")
		} else {
			_, name, found := strings.Cut(line, verdictEnd)
			ended = ended || found && name == phase
			continue
		}
		if slices.ContainsFunc(findings, func(other Finding) bool { return other.Point == f.Point }) {
			problems = append(problems, fmt.Errorf("%q was judged twice", f.Point))
		}
		if !slices.Contains(want, f.Point) {
			problems = append(problems, fmt.Errorf("%q was judged, and nobody wants to know: %s", f.Point, f.Detail))
		}
		findings = append(findings, f)
	}
	for _, name := range want {
		if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Point == name }) {
			findings = append(findings, Finding{Point: name, Detail: "it was not judged"})
		}
	}
	if !ended {
		problems = append(problems, fmt.Errorf("the judge did not come to the end of %q", phase))
	}
	return findings, errors.Join(problems...)
}
