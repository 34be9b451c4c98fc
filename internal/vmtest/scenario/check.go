package scenario

import (
	"fmt"
	"strings"
)

// Finding is the verdict on one thing that must be shown. Detail is what was
// seen: the proof, or what is wrong.
type Finding struct {
	Point  string
	OK     bool
	Detail string
}

// String is one line for people.
func (f Finding) String() string {
	verdict := "ok    "
	if !f.OK {
		verdict = "FAILED"
	}
	return fmt.Sprintf("%s %s: %s", verdict, f.Point, strings.ReplaceAll(f.Detail, "\n", " | "))
}

// evidence is what the checks look at.
type evidence struct {
	*Report
	release string // of the kernel that was to be booted
}

// check proves one point; its error says what is wrong.
type check struct {
	point string
	prove func(e evidence) (proof string, err error)
}

// Check judges a report of a boot that had to succeed, on the kernel of that
// release. It returns a Finding for every point, in the order of the points.
func Check(r *Report, release string) []Finding {
	var findings []Finding
	for _, group := range [][]check{skipChecks, mountIDChecks, etcChecks, toolChecks, unitChecks, remainderChecks, kernelChecks} {
		for _, c := range group {
			proof, err := c.prove(evidence{r, release})
			f := Finding{Point: c.point, OK: err == nil, Detail: proof}
			if err != nil {
				f.Detail = err.Error()
			}
			findings = append(findings, f)
		}
	}
	return findings
}

// Failed returns the findings that are not OK.
func Failed(findings []Finding) []Finding {
	var failed []Finding
	for _, f := range findings {
		if !f.OK {
			failed = append(failed, f)
		}
	}
	return failed
}
