// Package failurescreen renders why a boot failed for a person at a console of 80 columns and 25 lines: values in, lines
// out. It knows no kernel and writes nowhere.
package failurescreen

import (
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/bootlog"
)

const (
	// Columns is one less than a terminal has: a full line would make some of them start another one.
	Columns = 79
	// Rows leaves the last of 25 lines to the cursor.
	Rows = 24
)

// Device is one that no driver took.
type Device struct {
	// Name is the one on its bus.
	Name string
	// Modalias is what a driver is looked up by.
	Modalias string
}

// Screen is what is known of a failed boot. Empty fields are left out.
type Screen struct {
	Code Code
	// Cause is the whole message, in the kernel's words where it was the kernel; it may have several lines.
	Cause string
	// Step is the part of the boot that failed.
	Step string
	// Waited says what was waited for, and how long.
	Waited string
	// Done are the steps before, the first one first.
	Done []string
	// Unbound are devices without a driver, the likeliest disk first.
	Unbound []Device
	// Previous is how the boot before this one failed.
	Previous string
	// System names kernel and program.
	System string
	// Next is what happens now.
	Next string
}

// Lines renders the screen: at most Rows lines of at most Columns characters of ASCII. The cause is wrapped, never cut,
// as long as it fits the screen; what there is no room for is counted and said to be in the kernel log.
func (s *Screen) Lines() []string {
	rule := strings.Repeat("=", Columns)
	head := []string{rule, title(s.Code.Name), rule}
	var tail []string
	if s.Code.Advice != "" {
		tail = append(tail, labelled("What to do: ", s.Code.Advice)...)
	}
	tail = append(tail, strings.Repeat("-", Columns))
	if s.System != "" {
		tail = append(tail, wrap(s.System, 0)...)
	}
	if s.Next != "" {
		tail = append(tail, wrap(s.Next, 0)...)
	}
	const forFacts = 2 // a fact, and the blank line around the cause
	cause := limit(wrap(s.Cause, 1), Rows-len(head)-min(len(tail), Rows/2)-forFacts)
	room := Rows - len(head) - len(cause) - len(tail) - 2
	facts := s.facts(room)
	lines := append(head, cause...)
	if len(facts) > 0 {
		lines = append(append(lines, ""), facts...)
	}
	return limit(append(append(lines, ""), tail...), Rows)
}

// Text is the lines with a line end each.
func (s *Screen) Text() string { return strings.Join(s.Lines(), "\n") + "\n" }

func title(code string) string {
	const text = " This system could not be booted"
	return text + strings.Repeat(" ", max(1, Columns-1-len(text)-len(code))) + ascii(code)
}

// facts renders what helps to find the cause, the most telling first, in at most room lines.
func (s *Screen) facts(room int) []string {
	var lines []string
	add := func(block []string) {
		if len(lines)+len(block) <= room {
			lines = append(lines, block...)
		}
	}
	if s.Step != "" {
		add(labelled("Step:       ", s.Step))
	}
	if s.Waited != "" {
		add(labelled("Waited for: ", s.Waited))
	}
	if len(s.Unbound) > 0 && room-len(lines) > 1 {
		lines = append(lines, s.devices(room-len(lines))...)
	}
	if s.Previous != "" {
		add(labelled("Last time:  ", s.Previous))
	}
	if len(s.Done) > 0 {
		add(labelled("Before it:  ", strings.Join(s.Done, ", ")))
	}
	return lines
}

// devices lists those without a driver, and counts the rest.
func (s *Screen) devices(room int) []string {
	lines := []string{"Devices without a driver in this initramfs:"}
	for i, device := range s.Unbound {
		// The name in front of the modalias, on one line or more.
		block := wrap(device.Name+" "+device.Modalias, 2)
		left := len(s.Unbound) - i
		if need := len(lines) + len(block); need > room || left > 1 && need == room {
			return append(lines, fmt.Sprintf("  and %d more", left))
		}
		lines = append(lines, block...)
	}
	return lines
}

// labelled wraps a text beside its label.
func labelled(label, text string) []string {
	var lines []string
	for _, line := range wrap(text, len(label)) {
		start := strings.Repeat(" ", len(label))
		if len(lines) == 0 {
			start = label
		}
		lines = append(lines, start+strings.TrimLeft(line, " "))
	}
	return lines
}

// wrap breaks a text into lines behind an indent. A word that is longer than a line is broken, so that nothing gets lost
// at the edge of the screen.
func wrap(text string, indent int) []string {
	width := Columns - indent
	var lines []string
	for _, line := range bootlog.WrapLines(ascii(text), width) {
		for len(line) > width {
			lines = append(lines, strings.Repeat(" ", indent)+line[:width])
			line = line[width:]
		}
		lines = append(lines, strings.Repeat(" ", indent)+line)
	}
	return lines
}

// ascii keeps line breaks. A console this early has no font, and the columns of other characters differ.
func ascii(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r < 0x7f {
			return r
		}
		if r == '\t' {
			return ' '
		}
		return '?'
	}, text)
}

// limit keeps the first lines, and counts the others.
func limit(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	most = max(most, 1)
	rest := len(lines) - most + 1
	return append(lines[:most-1:most-1], fmt.Sprintf("... %d more lines are in the kernel log", rest))
}
