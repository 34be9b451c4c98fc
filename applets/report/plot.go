package report

import (
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/bootreport"
)

// row is a line of the drawing: a bar with a text.
type row struct {
	// class is the bar's kind, of those in style.
	class string
	span
	// note stands behind the name.
	note string
}

// draw returns a drawing of the start of the system: the kernel, each step of preroot, and systemd.
func draw(r *bootreport.Report, systemd systemdStart) string {
	rows := []row{
		{"kernel", span{"kernel", 0, r.StartedMS}, ""},
		{"preroot", span{"preroot", r.StartedMS, r.EndedMS}, fmt.Sprintf(", CPU %s", formatTime(r.UserMS+r.KernelMS))},
	}
	for _, s := range r.Steps {
		one := row{"step", span{s.Name, s.StartMS, s.EndMS}, fmt.Sprintf(", CPU %s", formatTime(s.UserMS+s.KernelMS))}
		if one.end == 0 {
			one.end = s.StartMS + s.DurationMS // of a record without ends
		}
		if s.Error != "" {
			one.class, one.note = "failed", ", failed: "+s.Error
		}
		rows = append(rows, one)
	}
	end, notes := r.EndedMS, warnings(r)
	switch {
	case r.Failure != "":
		notes = append(notes, "The boot failed: "+r.Failure)
	case systemd.missing != "":
		notes = append(notes, "The drawing ends at the hand-over: "+systemd.missing)
	case systemd.whole.start <= 0:
		notes = append(notes, "The drawing ends at the hand-over: systemd does not say when it started")
	default:
		var more []row
		more, end = systemdRows(systemd, end)
		rows = append(rows, more...)
		if systemd.whole.end == 0 {
			notes = append(notes, "systemd was still starting")
		}
	}
	return drawRows(title(r, systemd), rows, end, handover(r), notes)
}

// warnings returns a note on warnings, none if there are none.
func warnings(r *bootreport.Report) []string {
	if len(r.Warnings) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d warnings: see the report", len(r.Warnings))}
}

// systemdRows returns systemd's part and when it ends. What has not come yet goes on to the end.
func systemdRows(s systemdStart, end float64) ([]row, float64) {
	for _, group := range [][]span{{s.whole}, s.parts, s.units} {
		for _, one := range group {
			end = max(end, one.start, one.end)
		}
	}
	var rows []row
	add := func(class string, spans ...span) {
		for _, one := range spans {
			note := ""
			if one.end < one.start {
				one.end, note = end, ", not done yet"
			}
			rows = append(rows, row{class, one, note})
		}
	}
	add("systemd", s.whole)
	add("part", s.parts...)
	add("unit", s.units...)
	return rows, end
}

// title sums up, in the words of systemd-analyze.
func title(r *bootreport.Report, systemd systemdStart) []string {
	lines := []string{fmt.Sprintf("preroot %s (%s) on Linux %s", r.Versions.Preroot, r.Profile, r.Kernel)}
	text := fmt.Sprintf("%s (kernel) + %s (preroot)", formatTime(r.StartedMS), formatTime(r.EndedMS-r.StartedMS))
	switch whole := systemd.whole; {
	case r.Failure != "":
		return append(lines, "Boot failed after "+text)
	case systemd.missing == "" && whole.start > 0 && whole.end >= whole.start:
		text += fmt.Sprintf(" + %s (systemd) = %s", formatTime(whole.end-r.EndedMS), formatTime(whole.end))
	default:
		text += fmt.Sprintf(" = %s until the hand-over", formatTime(r.EndedMS))
	}
	return append(lines, "Startup took "+text)
}

// handover returns where the mark of the hand-over is, negative if there was none.
func handover(r *bootreport.Report) float64 {
	if r.Handover == nil || r.Failure != "" {
		return -1
	}
	return r.EndedMS
}

// formatTime writes milliseconds with a unit.
func formatTime(ms float64) string {
	switch {
	case ms >= 1e9 || ms <= -1e9:
		return fmt.Sprintf("%.2g s", ms/1000)
	case ms >= 1000 || ms <= -1000:
		return fmt.Sprintf("%.3f s", ms/1000)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", ms), ".0") + " ms"
}
