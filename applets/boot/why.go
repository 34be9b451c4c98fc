package boot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/bootlog"
)

// whyColumns is one less than a terminal has.
const whyColumns = 79

// allSteps are the steps of a boot without a second stage, in their order.
var allSteps = []string{stepAPI, stepSettings, stepDevices, stepUsr, stepRoot, stepStub, stepMount, stepEtc, stepExtensions, stepHandOver}

// explainStop tells, for somebody in a shell, why the boot stopped in or in front of a step, and what the plan is.
func (b *boot) explainStop(what, step string) string {
	var w strings.Builder
	add := func(label, text string) {
		if text == "" {
			return
		}
		for i, line := range bootlog.WrapLines(text, whyColumns-len(label)) {
			if i > 0 {
				label = strings.Repeat(" ", len(label))
			}
			fmt.Fprintf(&w, "%s%s\n", label, strings.TrimLeft(line, " "))
		}
	}
	for _, line := range bootlog.WrapLines(what, whyColumns) {
		fmt.Fprintf(&w, "%s\n", line)
	}
	if b.screen.Cause != "" {
		add("What to do: ", b.screen.Code.Advice)
	}
	add("Waited for: ", b.screen.Waited)
	b.record(func() {
		for _, d := range b.report.Devices {
			add("Device:     ", fmt.Sprintf("%s is %s: %s", d.Node, d.Use, d.Selector))
		}
		var done []string
		for _, s := range b.report.Steps {
			if s.Error == "" && s.Name != step && !slices.Contains(done, s.Name) {
				done = append(done, s.Name)
			}
		}
		add("Done:       ", strings.Join(done, ", "))
	})
	add("Step:       ", step)
	if at := slices.Index(allSteps, step); at >= 0 {
		add("To come:    ", strings.Join(allSteps[at+1:], ", "))
	}
	add("Last time:  ", b.screen.Previous)
	if b.report.CommandLine != "" {
		add("Words:      ", strings.TrimSpace(b.report.CommandLine+" "+b.typed))
	}
	return w.String()
}
