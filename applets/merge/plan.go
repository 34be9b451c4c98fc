package merge

import (
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// plan prints what a refresh would do, from the same code, and changes nothing.
func (s *session) plan() error {
	if err := checkPrivileges(); err != nil {
		return err
	}
	o, err := s.open()
	if err != nil {
		return err
	}
	defer o.close()
	v, done, err := o.look()
	if err != nil {
		return err
	}
	defer done()
	m, err := plan.PlanMerge(v.input)
	if err != nil {
		return err
	}
	change, err := v.findChange(m)
	if err != nil {
		return err
	}
	if s.json != "off" {
		s.printJSON(s.planJSON(m, v.input.Settings.Mutable, change))
		return nil
	}
	s.printPlan(m, v.input.Settings.Mutable, change)
	return nil
}

func (s *session) printPlan(m *plan.Merge, mode, change string) {
	t := table{header: []string{"EXTENSION", "DECISION", "PROTECTION", "REASON", "PATH"}}
	for _, d := range m.Decisions {
		t.rows = append(t.rows, []string{d.Name, decisionWord(d), protection(d), d.Reason, d.Path})
	}
	if len(t.rows) > 0 {
		fmt.Fprint(s.stdout, t.text(!s.noLegend))
	}
	for _, o := range m.Overlays {
		fmt.Fprintf(s.stdout, "%s: %s\n", o.Hierarchy, s.describeOverlay(o, mode))
	}
	for _, shadow := range m.Shadows {
		fmt.Fprintf(s.stdout, "warning: %s\n", shadow)
	}
	switch {
	case len(m.Overlays) == 0:
		fmt.Fprintln(s.stdout, "Nothing would be merged.")
	case change == "":
		fmt.Fprintln(s.stdout, "A refresh would be skipped: all of this is merged.")
	default:
		fmt.Fprintf(s.stdout, "A refresh would merge: %s.\n", change)
	}
}

func decisionWord(d plan.Decision) string {
	if d.Accepted {
		return "accepted"
	}
	return "ignored"
}

// protection says what stands behind the content of an image.
func protection(d plan.Decision) string {
	switch d.Signature {
	case plan.SignatureByKernel, plan.SignatureByUser:
		return "verity, signature " + string(d.Signature)
	case plan.SignatureUnaccepted:
		return "verity, signature not accepted: " + d.SignatureNote
	}
	if d.Protection == "none" && d.RootHash != "" {
		return "none: its root hash is not verified"
	}
	return d.Protection
}

// sourceName names a layer for people.
func sourceName(source string) string {
	switch source {
	case plan.FromHost:
		return "the host"
	case plan.FromImport:
		return "the imported directory"
	}
	return source
}

func (s *session) describeOverlay(o plan.Overlay, mode string) string {
	names := make([]string, len(o.Sources))
	for i, source := range o.Sources {
		names[i] = sourceName(source)
	}
	text := "layers from the top: " + strings.Join(names, ", ")
	switch {
	case o.Ephemeral:
		text += "; takes writes that go with the mount"
	case o.Upper != "":
		text += "; writes go to " + s.shown(o.Upper)
	}
	return text + "; mode " + mode + ", mount flags " + strings.Join(flagWords(o), ",")
}

func flagWords(o plan.Overlay) []string {
	words := []string{"rw"}
	if o.Attributes&mountapi.ReadOnly != 0 {
		words[0] = "ro"
	}
	for _, f := range []struct {
		attribute mountapi.Attributes
		word      string
	}{{mountapi.NoSUID, "nosuid"}, {mountapi.NoDev, "nodev"}, {mountapi.NoExec, "noexec"}} {
		if o.Attributes&f.attribute != 0 {
			words = append(words, f.word)
		}
	}
	return words
}

func (s *session) planJSON(m *plan.Merge, mode, change string) object {
	decisions, overlays, shadows := []any{}, []any{}, []any{}
	for _, d := range m.Decisions {
		decisions = append(decisions, decisionJSON(d))
	}
	for _, o := range m.Overlays {
		var upper any
		if o.Upper != "" {
			upper = s.shown(o.Upper)
		}
		overlays = append(overlays, object{
			{"hierarchy", o.Hierarchy}, {"target", s.shown(o.Target)}, {"layers", list(o.Sources)}, {"upper", upper},
			{"ephemeral", o.Ephemeral}, {"flags", list(flagWords(o))},
		})
	}
	for _, shadow := range m.Shadows {
		shadows = append(shadows, object{{"path", shadow.Path}, {"by", shadow.By}, {"hidden", shadow.Hidden}})
	}
	var changes any
	if change != "" {
		changes = change
	}
	return object{
		{"class", string(m.Class)}, {"mutable", mode}, {"extensions", decisions}, {"hierarchies", overlays},
		{"shadows", shadows}, {"change", changes},
	}
}

func decisionJSON(d plan.Decision) object {
	var hash, note any
	if d.RootHash != "" {
		hash = d.RootHash
	}
	if d.SignatureNote != "" {
		note = d.SignatureNote
	}
	return object{
		{"name", d.Name}, {"path", d.Path}, {"accepted", d.Accepted}, {"reason", d.Reason}, {"rootHash", hash},
		{"protection", d.Protection}, {"signature", string(d.Signature)}, {"signatureNote", note},
	}
}
