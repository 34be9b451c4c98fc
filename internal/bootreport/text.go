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
	w.head(r)
	w.shell(r)
	w.devices(r)
	w.earlyMounts(r.EarlyMounts)
	w.secondStage(r.SecondStage)
	w.rules(r.Rules)
	for _, m := range r.Merges {
		w.merge(m)
	}
	w.steps(r)
	if len(r.Modules) > 0 {
		w.printf("modules%28s\n", "took ms")
	}
	for _, m := range r.Modules {
		w.item(fmt.Sprintf("  %-24s %8s", m.Name, formatMS(m.LoadMS)), m.Reason)
	}
	if h := r.Handover; h != nil {
		w.printf("handed over to %s by %s; memory in use then: %d KiB\n", h.Init, h.Way, h.MemoryUsedKiB)
		for _, left := range append(append([]string{}, h.LeftOver...), h.HelperMounts...) {
			w.wrap("  ", "left of the initramfs: "+left)
		}
	}
	for _, text := range r.Warnings {
		w.wrap("", "warning: "+text)
	}
	return w.String()
}

// head is what a person asks first: how did it end, and how long did it take?
func (w *writer) head(r *Report) {
	outcome := "booted"
	if r.Failure != "" {
		outcome = "failed"
	}
	w.printf("preroot (%s) on Linux %s: %s\n", r.Profile, r.Kernel, outcome)
	w.wrap("  ", r.Failure)
	w.wrap("  ", fmt.Sprintf("from %s to %s ms: %s ms; CPU: %s ms own code, %s ms in the kernel", formatMS(r.StartedMS), formatMS(r.EndedMS),
		formatMS(r.EndedMS-r.StartedMS), formatMS(r.UserMS), formatMS(r.KernelMS)))
	if r.Versions.Preroot == "" {
		return
	}
	versions := "preroot " + r.Versions.Preroot
	if r.Versions.Revision != "" {
		versions += " of commit " + r.Versions.Revision
	}
	versions += ", built with " + r.Versions.Go
	if r.Versions.Systemd > 0 {
		versions += fmt.Sprintf("; the root has systemd %d", r.Versions.Systemd)
	}
	w.wrap("  ", versions)
}

// devices tells what root and /usr are, and why these.
func (w *writer) devices(r *Report) {
	if u := r.Usr; u != nil {
		w.usr(u)
	}
	if root := r.Root; root != nil && root.Verity == nil {
		w.printf("/: %s (%s)\n", root.Device, root.FileSystem)
	} else if root != nil {
		w.printf("/: %s with hash tree on %s (%s), verified\n", root.Verity.Data, root.Verity.Hash, root.FileSystem)
		w.verity(*root.Verity)
	}
	if r.Root != nil && r.Root.Volatile != "" {
		w.printf("  what is written is lost at the end: systemd.volatile=%s\n", r.Root.Volatile)
	}
	for _, d := range r.Devices {
		why := d.Selector + " (" + d.Reason + ")"
		if d.Others > 0 {
			why += fmt.Sprintf("; not taken: %d more", d.Others)
		}
		w.item(fmt.Sprintf("  %s: %s:", d.Node, d.Use), why)
	}
}

func (w *writer) usr(u *Usr) {
	verified := "not verified"
	if u.Verified {
		verified = "verified"
	}
	switch {
	case u.RootHash != "":
		w.printf("/usr: %s with hash tree on %s (%s), %s\n", u.Data, u.Hash, u.FileSystem, verified)
	case u.Data != "":
		w.printf("/usr: %s (%s), %s\n", u.Data, u.FileSystem, verified)
	default:
		w.printf("/usr: on the root, %s\n", verified)
	}
	w.verity(Verity{
		RootHash: u.RootHash, RootHashFrom: u.RootHashFrom, Algorithm: u.Algorithm,
		Signature: u.Signature, SignatureFrom: u.SignatureFrom, SignatureNote: u.SignatureNote,
	})
}

func (w *writer) verity(v Verity) {
	if v.RootHashFrom != "" {
		w.wrap("  ", fmt.Sprintf("root hash (%s) from %s:", v.Algorithm, v.RootHashFrom))
	}
	w.wrap("    ", v.RootHash)
	signature := v.Signature
	if v.SignatureFrom != "" {
		signature += ", from " + v.SignatureFrom
	}
	if signature != "" {
		w.wrap("  ", "signature: "+signature)
	}
	w.wrap("  ", v.SignatureNote)
}

// Widths of a step's name and of its bar, in columns.
const (
	nameWidth = 32
	barWidth  = 15
)

// steps renders a table with the times of all steps, each with its part of the boot.
func (w *writer) steps(r *Report) {
	if len(r.Steps) == 0 {
		return
	}
	w.printf("%-34s %8s %8s %8s\n", "steps", "start ms", "took ms", "CPU ms")
	for _, s := range r.Steps {
		// Names are short. One that is not has the line for itself.
		name := bootlog.Printable(s.Name)
		if len([]rune(name)) > nameWidth {
			w.wrap("  ", name)
			name = ""
		}
		bar := drawBar(s.StartMS-r.StartedMS, s.DurationMS, r.EndedMS-r.StartedMS)
		w.printf("  %-*s %8s %8s %8s |%s|\n", nameWidth, name, formatMS(s.StartMS), formatMS(s.DurationMS), formatMS(s.UserMS+s.KernelMS), bar)
		// The reason of a failed boot stands at the top.
		if s.Error != "" && s.Error != r.Failure {
			w.wrap("      ", "failed: "+s.Error)
		}
	}
}

// drawBar returns barWidth columns in which at least one stands for a part of the whole.
func drawBar(start, took, whole float64) string {
	column := func(at float64) int {
		part := at / whole
		if !(part > 0) { // or not a number
			return 0
		}
		return int(min(part, 1) * barWidth)
	}
	from := min(column(start), barWidth-1)
	to := min(max(column(start+took), from+1), barWidth)
	return strings.Repeat(" ", from) + strings.Repeat("#", to-from) + strings.Repeat(" ", barWidth-to)
}

// formatMS writes milliseconds, with a decimal where there is room for it.
func formatMS(ms float64) string {
	if ms <= -1e7 || ms >= 1e7 {
		return fmt.Sprintf("%.2g", ms)
	}
	if ms <= -1e5 || ms >= 1e5 {
		return fmt.Sprintf("%.0f", ms)
	}
	return fmt.Sprintf("%.1f", ms)
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

// item writes a head and a text beside it, or below it if it does not fit.
func (w *writer) item(head, text string) {
	head, text = bootlog.Printable(head), bootlog.Printable(text)
	if len(head)+1+len(text) <= screenWidth {
		w.printf("%s %s\n", head, text)
		return
	}
	w.printf("%s\n", head)
	w.wrap("      ", text)
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
		w.printf("  %s %s  %s\n", mark, d.Name, d.Path)
		w.wrap("      ", explain(d))
	}
	for _, shadow := range m.Shadows {
		w.wrap("  ", shadow)
	}
	if m.BootRefresh != "" {
		w.wrap("  ", "first start of systemd's service: "+m.BootRefresh)
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
	if d.SignatureNote != "" {
		parts = append(parts, d.SignatureNote)
	}
	return strings.Join(parts, "; ")
}
