package merge

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/preroot/preroot/internal/etcrules"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// drift prints how the writable part of a hierarchy differs from what the extensions give, all of it or what is at and below a path. The default
// is what a refresh would merge now.
func (s *session) drift() error {
	if err := checkPrivileges(); err != nil {
		return err
	}
	if s.class != osrelease.ClassConfext {
		return failf("Only confexts have defaults that can drift; call it as systemd-confext, or with --class=confext.")
	}
	below := ""
	if len(s.operands) == 1 {
		if below = path.Clean(s.operands[0]); !path.IsAbs(below) {
			return failf("'%s' is not an absolute path.", s.operands[0])
		}
	}
	o, err := s.open()
	if err != nil {
		return err
	}
	defer o.close()
	all, err := o.findDrift()
	if err != nil {
		return err
	}
	var chosen []etcrules.Drift
	for _, d := range all {
		if below == "" || d.Path == below || strings.HasPrefix(d.Path, strings.TrimSuffix(below, "/")+"/") {
			chosen = append(chosen, d)
		}
	}
	if s.thaw {
		return o.noteThaw(chosen, below)
	}
	s.printDrift(chosen)
	return nil
}

// findDrift looks at every hierarchy that takes writes.
func (o *opened) findDrift() ([]etcrules.Drift, error) {
	v, err := o.observe()
	if err != nil {
		return nil, err
	}
	defer v.close()
	m, err := plan.PlanMerge(v.input)
	if err != nil {
		return nil, err
	}
	var all []etcrules.Drift
	found := false
	for _, overlay := range m.Overlays {
		if !overlay.TakesWrites() || overlay.Ephemeral || len(overlay.Layers) == 0 {
			continue
		}
		found = true
		err := v.workspace.LookBelow(overlay, func(upper, lower int) error {
			drift, notes, err := etcrules.FindDrift(upper, lower, overlay.Hierarchy)
			for _, note := range notes {
				o.say("%s", note)
			}
			all = append(all, drift...)
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if !found {
		return nil, failf("No hierarchy takes writes over extensions: nothing can drift. (Mutable= is %s.)", v.input.Settings.Mutable)
	}
	return all, nil
}

// driftWord is what is printed for a state.
func driftWord(state etcrules.State) string {
	switch state {
	case etcrules.Same:
		return "same as default (frozen)"
	case etcrules.Changed:
		return "changed"
	case etcrules.HidesNewer:
		return "hides a newer default"
	case etcrules.Deleted:
		return "deleted"
	case etcrules.Opaque:
		return "opaque"
	case etcrules.Added:
		return "added"
	}
	return ""
}

func (s *session) printDrift(all []etcrules.Drift) {
	t := table{header: []string{"STATE", "TYPE", "PATH", "NOTE"}}
	array := []any{}
	for _, d := range all {
		note := d.Why
		if d.Hidden {
			note = strings.TrimPrefix(note+", below an opaque directory", ", ")
		}
		t.rows = append(t.rows, []string{driftWord(d.State), d.Type, printablePath(d.Path), note})
		member := object{{"path", d.Path}, {"state", string(d.State)}, {"type", d.Type}, {"why", d.Why}, {"hidden", d.Hidden}, {"modified", uint64(max(d.Modified, 0) / 1000)}}
		if d.DefaultModified != 0 {
			member = append(member, object{{"defaultModified", uint64(max(d.DefaultModified, 0) / 1000)}}...)
		}
		array = append(array, member)
	}
	switch {
	case s.json != "off":
		s.printJSON(array)
	case len(all) == 0:
		s.say("Nothing drifted.")
	default:
		fmt.Fprint(s.stdout, t.text(!s.noLegend))
	}
}

// printablePath quotes a path with characters that a terminal or a reader would take for something else.
func printablePath(path string) string {
	for _, r := range path {
		if r < ' ' || r == 0x7f || r == '\ufffd' || r == '"' {
			return fmt.Sprintf("%q", path)
		}
	}
	return path
}

// isThawable reports whether an entry can go so that the default shows. Without a path, only what equals the default goes.
func isThawable(d etcrules.Drift, asked bool) bool {
	switch d.State {
	case etcrules.Same:
		return !d.Hidden
	case etcrules.Changed, etcrules.HidesNewer:
		return asked && d.Type != "directory"
	case etcrules.Deleted, etcrules.Opaque:
		return asked
	}
	return false
}

// noteThaw writes what is to be moved out of the writable directory into the list that the next boot goes through: never in
// the upper directory of a live overlay.
func (o *opened) noteThaw(all []etcrules.Drift, below string) error {
	var chosen []etcrules.Drift
	var paths []string
	for _, d := range all {
		if isThawable(d, below != "") && strings.HasPrefix(d.Path, "/etc/") {
			chosen = append(chosen, d)
			paths = append(paths, d.Path)
		}
	}
	if len(paths) == 0 {
		o.say("Nothing to thaw.")
		return nil
	}
	o.printDrift(chosen)
	if err := etcrules.NoteThaw(o.root, paths); err != nil {
		return err
	}
	o.say("Noted %d entries in %s. The next boot by preroot moves them to %s; remove the file to call it off.", len(paths), etcrules.ThawList, etcrules.Thawed)
	return nil
}
