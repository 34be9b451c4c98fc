package merge

import (
	"fmt"
	"slices"
	"sort"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
)

// status prints what is merged.
func (s *session) status() error {
	o, err := s.open()
	if err != nil {
		return err
	}
	defer o.close()
	t := table{header: []string{"HIERARCHY", "EXTENSIONS", "SINCE"}}
	array := []any{}
	hierarchies := slices.Clone(o.hierarchies)
	slices.Sort(hierarchies)
	for _, hierarchy := range hierarchies {
		entry, err := o.root.Resolve(hierarchy)
		if err != nil {
			continue
		}
		entry.Close()
		merged, err := extension.ReadMerged(o.root, s.class, hierarchy)
		if err != nil {
			return err
		}
		if merged == nil {
			t.rows = append(t.rows, []string{hierarchy, "-", "-"})
			array = append(array, object{{"hierarchy", hierarchy}, {"extensions", []any{}}, {"since", nil}})
			continue
		}
		if merged.NoList != nil {
			return failf("Failed to open '%s': %s", o.root.Host(entry.Path+"/"+extension.MetadataDirectory(s.class)+"/"+extension.ListName(s.class)), cause(merged.NoList))
		}
		names := merged.Names
		if len(names) == 0 {
			names = []string{"-"}
		}
		for i, name := range names {
			row := []string{"", name, ""}
			if i == 0 {
				row[0], row[2] = hierarchy, timestamp(merged.SinceUSec)
			}
			t.rows = append(t.rows, row)
		}
		array = append(array, object{{"hierarchy", hierarchy}, {"extensions", list(merged.Names)}, {"since", merged.SinceUSec}})
	}
	if s.json != "off" {
		s.printJSON(array)
		return nil
	}
	fmt.Fprint(s.stdout, t.text(!s.noLegend))
	return nil
}

// list prints the images that are there, usable or not.
func (s *session) list() error {
	o, err := s.open()
	if err != nil {
		return err
	}
	defer o.close()
	images, err := extension.Discover(o.root, extension.Search{Class: s.class, Initrd: extension.IsInitrd(o.root), NoDissect: true})
	if err != nil {
		return err
	}
	sort.Slice(images, func(i, j int) bool { return images[i].Name < images[j].Name })
	t := table{header: []string{"NAME", "TYPE", "PATH", "TIME"}}
	array := []any{}
	for _, image := range images {
		at := image.ModifiedUSec
		if at == 0 {
			at = image.CreatedUSec
		}
		t.rows = append(t.rows, []string{image.Name, string(image.Type), o.shown(o.root.Host(image.Path)), timestamp(at)})
		array = append(array, object{
			{"name", image.Name}, {"type", string(image.Type)}, {"path", o.shown(o.root.Host(image.Path))}, {"time", at},
		})
	}
	switch {
	case s.json != "off":
		s.printJSON(array)
	case len(images) == 0:
		s.say("No OS extensions found.")
	default:
		fmt.Fprint(s.stdout, t.text(!s.noLegend))
	}
	return nil
}

// hierarchiesVariable lets somebody else's list of hierarchies be merged.
func hierarchiesVariable(class osrelease.Class) string {
	if class == osrelease.ClassConfext {
		return "SYSTEMD_CONFEXT_HIERARCHIES"
	}
	return "SYSTEMD_SYSEXT_HIERARCHIES"
}
