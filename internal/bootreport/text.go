package bootreport

import (
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/bootlog"
)

// screenWidth is what a wrapped line may fill of 80 columns.
const screenWidth = 78

// Text renders the report for a person, a line a fact, 80 columns where the
// values allow. What a terminal would not print is replaced: names of extensions,
// for one, are whatever somebody wrote on a disk.
func (r *Report) Text() string {
	var w writer
	outcome := "booted"
	if r.Failure != "" {
		outcome = "failed"
	}
	w.printf("preroot (%s) on Linux %s: %s\n", r.Profile, r.Kernel, outcome)
	w.wrap("  ", r.Failure)
	w.printf("from %.0f to %.0f ms: %.0f ms, of which %.0f ms own code, %.0f ms in the kernel\n",
		r.StartedMS, r.EndedMS, r.EndedMS-r.StartedMS, r.UserMS, r.KernelMS)
	if u := r.Usr; u != nil {
		w.printf("/usr: %s with hash tree on %s (%s), verified\n  root hash %s\n", u.Data, u.Hash, u.FileSystem, u.RootHash)
		if u.SignatureFrom != "" {
			w.printf("  signature from %s %s\n", u.SignatureFrom, u.Signature)
		}
		w.wrap("  ", u.SignatureNote)
	}
	if r.Root != nil {
		w.printf("/: %s (%s)\n", r.Root.Device, r.Root.FileSystem)
	}
	w.rules(r.Rules)
	for _, m := range r.Merges {
		w.merge(m)
	}
	for _, s := range r.Steps {
		w.printf("  %9.1f ms  %7.1f ms  %s\n", s.StartMS, s.DurationMS, s.Name)
		// The reason of a failed boot stands at the top.
		if s.Error != "" && s.Error != r.Failure {
			w.wrap("      ", s.Error)
		}
	}
	for _, m := range r.Modules {
		w.printf("  module %-16s %7.1f ms  %s\n", m.Name, m.LoadMS, m.Reason)
	}
	for _, text := range r.Warnings {
		w.wrap("", "warning: "+text)
	}
	return w.String()
}

// writer collects lines.
type writer struct{ strings.Builder }

// printf writes with values made fit for a terminal.
func (w *writer) printf(format string, values ...any) {
	for i, value := range values {
		if text, ok := value.(string); ok {
			values[i] = bootlog.Printable(text)
		}
	}
	fmt.Fprintf(w, format, values...)
}

// wrap writes a text of several lines, each behind the indent; none if there is
// no text.
func (w *writer) wrap(indent, text string) {
	if text == "" {
		return
	}
	for _, line := range bootlog.WrapLines(text, screenWidth-len(indent)) {
		w.printf("%s%s\n", indent, line)
	}
}

func (w *writer) merge(m Merge) {
	into := strings.Join(m.Hierarchies, " ")
	if into == "" {
		into = "nothing merged"
	}
	w.printf("%s, Mutable=%s: %s\n", m.Class, m.Mutable, into)
	for _, d := range m.Decisions {
		mark := "+"
		if !d.Accepted {
			mark = "-"
		}
		w.printf("  %s %s  %s\n      %s\n", mark, d.Name, d.Path, explain(d))
	}
}

// explain joins what is known of a decision.
func explain(d Decision) string {
	parts := []string{d.Reason}
	if d.Protection != "" {
		parts = append(parts, d.Protection)
	}
	if d.Signature != "" {
		parts = append(parts, "signature "+d.Signature)
	}
	return strings.Join(parts, "; ")
}
