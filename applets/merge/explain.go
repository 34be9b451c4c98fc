package merge

import (
	"fmt"
	"path"
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/plan"
)

// explain says where a file comes from, or what was decided about an extension, and why.
func (s *session) explain() error {
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
	if path.IsAbs(s.operands[0]) {
		return v.explainPath(m, path.Clean(s.operands[0]))
	}
	return v.explainExtension(m, s.operands[0])
}

func (v *observed) explainExtension(m *plan.Merge, name string) error {
	for _, d := range m.Decisions {
		if d.Name != name {
			continue
		}
		var shadows []plan.Shadow
		for _, shadow := range m.Shadows {
			if shadow.By == name || shadow.Hidden == name {
				shadows = append(shadows, shadow)
			}
		}
		if v.json != "off" {
			v.printJSON(append(decisionJSON(d), member{"release", v.releaseJSON(name)}, member{"host", fieldsJSON(v.input.Host.Fields)}))
			return nil
		}
		fmt.Fprintf(v.stdout, "%s %s: %s, %s\nprotection: %s\n", v.class, name, decisionWord(d), d.Reason, protection(d))
		fmt.Fprintf(v.stdout, "path: %s\n", d.Path)
		if d.RootHash != "" {
			fmt.Fprintf(v.stdout, "root hash: %s\n", d.RootHash)
		}
		for _, c := range v.input.Candidates {
			if c.Name == name && c.Release != nil {
				fmt.Fprintf(v.stdout, "its release file: %s\n", fieldsText(c.Release))
			}
		}
		fmt.Fprintf(v.stdout, "the host: %s, architecture %s\n", fieldsText(v.input.Host.Fields), v.input.Host.Architecture)
		for _, shadow := range shadows {
			fmt.Fprintf(v.stdout, "warning: %s\n", shadow)
		}
		return nil
	}
	return failf("There is no %s '%s' in the search path.", v.class, name)
}

// matched are the fields that matching looks at, on either side.
var matched = []string{"ID", "ID_LIKE", "VERSION_ID", "SYSEXT_LEVEL", "CONFEXT_LEVEL", "SYSEXT_SCOPE", "CONFEXT_SCOPE", "ARCHITECTURE"}

func fieldsText(fields map[string]string) string {
	var words []string
	for _, key := range matched {
		if value, set := fields[key]; set {
			words = append(words, fmt.Sprintf("%s=%.60q", key, value))
		}
	}
	return strings.Join(words, " ")
}

func fieldsJSON(fields map[string]string) any {
	o := object{}
	for _, key := range matched {
		if value, set := fields[key]; set {
			o = append(o, member{key, value})
		}
	}
	return o
}

func (v *observed) releaseJSON(name string) any {
	for _, c := range v.input.Candidates {
		if c.Name == name && c.Release != nil {
			return fieldsJSON(c.Release)
		}
	}
	return nil
}

// explainPath prints the layers that have a path, the one that shows first.
func (v *observed) explainPath(m *plan.Merge, at string) error {
	for _, o := range m.Overlays {
		inside, below := strings.CutPrefix(at, o.Hierarchy+"/")
		if !below {
			continue
		}
		found, err := v.workspace.Lookup(o, inside)
		if err != nil {
			return err
		}
		v.printLookup(at, o, found)
		return nil
	}
	return failf("'%s' is in no hierarchy that would be merged.", at)
}

// printLookup tells which layers are seen. Directories of several layers are seen as one; of all else the first.
func (v *observed) printLookup(at string, o plan.Overlay, found []apply.Found) {
	hidden := ""
	t := table{header: []string{"LAYER", "HAS", "SEEN"}}
	array := []any{}
	for _, f := range found {
		has, seen := f.Kind, "yes"
		if f.Opaque {
			has = "an opaque " + f.Kind + " " + o.Hierarchy + "/" + f.At
		}
		switch {
		case hidden != "":
			seen = "no, " + hidden
		case f.Kind == "whiteout":
			seen = "as deleted"
		case f.Opaque && o.Hierarchy+"/"+f.At != at:
			seen = "as missing"
		}
		if hidden == "" {
			hidden = hides(f)
		}
		t.rows = append(t.rows, []string{layerName(f.Source), has, seen})
		array = append(array, object{{"layer", f.Source}, {"kind", f.Kind}, {"opaque", f.Opaque}, {"at", o.Hierarchy + "/" + f.At}, {"seen", seen}})
	}
	if v.json != "off" {
		v.printJSON(object{{"path", at}, {"hierarchy", o.Hierarchy}, {"flags", list(flagWords(o))}, {"layers", array}})
		return
	}
	fmt.Fprintf(v.stdout, "%s in %s, mounted %s\n", at, o.Hierarchy, strings.Join(flagWords(o), ","))
	if len(found) == 0 {
		fmt.Fprintln(v.stdout, "no layer has it")
		return
	}
	fmt.Fprint(v.stdout, t.text(!v.noLegend))
}

// hides says why the layers below one are not seen, "" if they are.
func hides(f apply.Found) string {
	by := layerName(f.Source)
	switch {
	case f.Kind == "whiteout":
		return "a whiteout of " + by + " deletes it"
	case f.Opaque:
		return "the opaque " + f.Kind + " of " + by + " hides it"
	case f.Kind != "directory":
		return "that of " + by + " hides it"
	}
	return ""
}

func layerName(source string) string {
	if source == apply.FromUpper {
		return "the writable directory"
	}
	return sourceName(source)
}
