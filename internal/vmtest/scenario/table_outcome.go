package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome is what became of one test.
type Outcome struct {
	Passed bool
	Took   time.Duration
}

// Result is the word for a row, by the outcomes of its tests by name: shown, partly (something is missing), not shown (no test), FAILED, or not run.
func (r Row) Result(outcomes map[string]Outcome) (word string, took time.Duration) {
	if len(r.Shown) == 0 {
		return "not shown", 0
	}
	run := 0
	for _, test := range r.Shown {
		o, found := outcomes[test]
		if !found {
			continue
		}
		if !o.Passed {
			return "FAILED", 0
		}
		run++
		took += o.Took
	}
	switch {
	case run < len(r.Shown):
		return "not run", 0
	case r.Missing != "":
		return "partly", took
	}
	return "shown", took
}

// fixed is the part of a row's line that no run changes.
func (r Row) fixed() string {
	return fmt.Sprintf("| %s | %s | %s |", r.ID, cell(r.What), cell(r.Expected))
}

// Line is a row of the table in docs/scenarios.md.
func (r Row) Line(outcomes map[string]Outcome) string {
	word, took := r.Result(outcomes)
	seconds := ""
	if took > 0 {
		seconds = fmt.Sprintf("%.0f", took.Seconds())
	}
	var by []string
	for _, test := range r.Shown {
		by = append(by, "`"+test+"`")
	}
	if r.Missing != "" {
		by = append(by, "missing: "+cell(r.Missing))
	}
	return fmt.Sprintf("%s %s | %s | %s |\n", r.fixed(), word, seconds, strings.Join(by, "; "))
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// Document is docs/scenarios.md. About says when and where it was run.
func Document(about string, outcomes map[string]Outcome) string {
	var text strings.Builder
	text.WriteString(`# The scenarios, and what shows them

` + about + `

` + "`make scenarios`" + ` runs the tests and writes this file. V: verity, E: /etc, O: reset, S: sysexts, 8.5: what systemd's own tests have, 8.6: what dracut's
have, H: hand-over and failure. *partly*: what is missing stands in the last column. Seconds are those of the boots and tests that are named; one boot often
shows several rows. A name is a kind of test (boot, guest, root, unit), perhaps a package, and the test; boots without "trixie" or "6.12" in their names are on Linux 7.2.

| | set-up | expected | result | s | shown by |
| --- | --- | --- | --- | ---: | --- |
`)
	counts := map[string]int{}
	for _, row := range Table {
		word, _ := row.Result(outcomes)
		counts[word]++
		text.WriteString(row.Line(outcomes))
	}
	return text.String() + "\n" + summary(counts)
}

// summary is the last line, which counts results.
func summary(counts map[string]int) string {
	var text strings.Builder
	for _, word := range []string{"shown", "partly", "not shown", "not run", "FAILED"} {
		if counts[word] > 0 {
			fmt.Fprintf(&text, "%d %s. ", counts[word], word)
		}
	}
	return strings.TrimRight(text.String(), " ") + "\n"
}

// UpdateDocument puts the results of some rows, run again, into a document of an earlier run, and says behind its words about that run what
// these are. A document that lacks a row of the table is an error.
func UpdateDocument(document, about string, again []Row, outcomes map[string]Outcome) (string, error) {
	lines := strings.SplitAfter(document, "\n")
	counts := map[string]int{}
	for _, row := range Table {
		at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, row.fixed()) })
		if at < 0 {
			return "", fmt.Errorf("the document has no row %s", row.ID)
		}
		if slices.ContainsFunc(again, func(r Row) bool { return r.ID == row.ID }) {
			lines[at] = row.Line(outcomes)
		}
		word, _, _ := strings.Cut(strings.TrimPrefix(lines[at], row.fixed()), " |")
		counts[strings.TrimSpace(word)]++
	}
	// The title, an empty line, and what is said of the run.
	lines[2] = strings.TrimRight(lines[2], "\n") + " " + about + "\n"
	lines[len(lines)-2] = summary(counts)
	return strings.Join(lines, ""), nil
}
