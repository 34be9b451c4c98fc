package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/versionorder"
)

// Candidate is an image that was found, and what opening it showed.
type Candidate struct {
	extension.Image
	// Release holds the fields of its release file, nil if there is none for
	// the reason in NoRelease.
	Release   osrelease.Fields
	NoRelease string
	// Content maps each hierarchy in which it has something to the path there,
	// from outside, that becomes a layer.
	Content map[string]string
	// Failure says why it could not be opened; empty if it could.
	Failure string
}

// MergeInput is all that a merge of one class depends on.
type MergeInput struct {
	Class       osrelease.Class
	Settings    extension.Settings
	Host        osrelease.Host
	Candidates  []Candidate
	Hierarchies []extension.Hierarchy
	// Required names the images without which nothing may be merged.
	Required []string
	// RootPath is where the new root is mounted, e.g. "/sysroot".
	RootPath string
}

// Decision says what becomes of one image, and why.
type Decision struct {
	Class    osrelease.Class
	Name     string
	Path     string
	Accepted bool
	Reason   string
	RootHash string
	// Protection is what the content was checked with when it is read:
	// "verity" or "none".
	Protection string
	// Signature says what became of the root hash's signature: "none" (there
	// is none) or "not checked".
	Signature string
}

// Merge is what will be mounted for one class.
type Merge struct {
	Class     osrelease.Class
	Decisions []Decision
	// Names of the accepted images, oldest first (the last one wins).
	Names []string
	// Origin is the text of the file "origin", which systemd compares.
	Origin   []byte
	Overlays []Overlay
}

// Overlay is one overlay mount.
type Overlay struct {
	// Hierarchy as configured; Target is where it is mounted, from outside.
	Hierarchy, Target string
	// Layers are the extensions' directories from the top down, without the
	// metadata, which lies above, and with the host's own directory at the end
	// if that is a layer. Paths are from outside.
	Layers []string
	// Upper and Work are directories from outside; empty when read-only.
	Upper, Work string
	// WorkInside is Work as the root sees it, without leading slash.
	WorkInside string
	// Permissions of the merged directory.
	Permissions uint32
	// Backing is the host directory's device if it is a layer, else empty.
	Backing string
}

// PlanMerge decides about every candidate and says what to mount. A candidate
// that does not fit is left out with its reason; a required one that is left
// out is an error, and so is a setting that cannot be honoured.
func PlanMerge(in MergeInput) (*Merge, error) {
	m := &Merge{Class: in.Class}
	candidates := map[string]Candidate{}
	for _, c := range in.Candidates {
		candidates[c.Name] = c
		m.Decisions = append(m.Decisions, decide(in, c))
	}
	slices.SortFunc(m.Decisions, func(a, b Decision) int { return compareNames(a.Name, b.Name) })
	leaveOutDoubles(m.Decisions, candidates)
	accepted := map[string]Candidate{}
	for _, d := range m.Decisions {
		if d.Accepted {
			accepted[d.Name] = candidates[d.Name]
			m.Names = append(m.Names, d.Name)
		}
	}
	if err := checkRequired(in, m.Decisions); err != nil {
		return nil, err
	}
	switch in.Settings.Mutable {
	case "no", "auto", "yes":
	default:
		return nil, fmt.Errorf("merge %ss: Mutable=%s is not supported yet", in.Class, in.Settings.Mutable)
	}
	if in.Settings.ImagePolicy != "" {
		return nil, fmt.Errorf("merge %ss: ImagePolicy=%s cannot be enforced yet", in.Class, in.Settings.ImagePolicy)
	}
	if len(m.Names) == 0 && in.Settings.Mutable == "no" {
		return m, nil
	}
	mutable := map[string]string{}
	for _, h := range in.Hierarchies {
		overlay, err := planOverlay(in, m.Names, accepted, h)
		if err != nil {
			return nil, err
		}
		if overlay == nil {
			continue
		}
		if overlay.Upper != "" {
			mutable[h.Path] = h.Mutable.Path
		}
		m.Overlays = append(m.Overlays, *overlay)
	}
	origin, err := encodeOrigin(in.Settings.Mutable, mutable, accepted)
	if err != nil {
		return nil, err
	}
	m.Origin = origin
	return m, nil
}

// compareNames orders by version; names that compare as equal (a_2, a2) by
// their bytes, so that the result does not depend on the directory's order.
func compareNames(a, b string) int {
	if order := versionorder.Compare(a, b); order != 0 {
		return order
	}
	return strings.Compare(a, b)
}

func decide(in MergeInput, c Candidate) Decision {
	d := Decision{Class: in.Class, Name: c.Name, Path: c.Path, Protection: "none", Signature: "none"}
	if c.Dissected != nil {
		d.RootHash = fmt.Sprintf("%x", c.Dissected.RootHash)
		if c.Dissected.Hash != nil {
			d.Protection = "verity"
		}
		if c.Dissected.Signature != nil {
			d.Signature = "not checked"
		}
	}
	switch {
	case c.Problem != "":
		d.Reason = c.Problem
	case c.Failure != "":
		d.Reason = c.Failure
	case c.Release == nil:
		d.Reason = c.NoRelease
	default:
		match := osrelease.Match(in.Class, in.Host, c.Release)
		d.Accepted, d.Reason = match.Accepted, match.Reason
	}
	return d
}

// leaveOutDoubles keeps, of several links to one directory, the newest name: the
// kernel refuses an overlay with the same directory in two layers.
func leaveOutDoubles(decisions []Decision, candidates map[string]Candidate) {
	type directory struct {
		mountID, inode uint64
		kind           int32
		handle         string
	}
	names := map[directory]string{}
	for i := len(decisions) - 1; i >= 0; i-- {
		d := &decisions[i]
		c := candidates[d.Name]
		if !d.Accepted || c.Type != extension.Directory {
			continue
		}
		same := directory{c.MountID, c.Inode, c.HandleType, string(c.Handle)}
		if first, known := names[same]; known {
			d.Accepted, d.Reason = false, fmt.Sprintf("it is the same directory as %q", first)
			continue
		}
		names[same] = d.Name
	}
}

func checkRequired(in MergeInput, decisions []Decision) error {
	for _, name := range in.Required {
		i := slices.IndexFunc(decisions, func(d Decision) bool { return d.Name == name })
		if i < 0 {
			return &RequiredError{Class: in.Class, Name: name, Reason: "it was not found in " +
				strings.Join(extension.SearchPath(in.Class), ", ")}
		}
		if d := decisions[i]; !d.Accepted {
			return &RequiredError{Class: in.Class, Name: name, Path: d.Path, Reason: d.Reason}
		}
	}
	return nil
}

// RequiredError says that an image that preroot.conf requires cannot be merged.
type RequiredError struct {
	Class        osrelease.Class
	Name         string
	Path, Reason string
}

func (e *RequiredError) Error() string {
	text := fmt.Sprintf("required %s %q cannot be merged: %s", e.Class, e.Name, e.Reason)
	if e.Path != "" {
		text += " (" + e.Path + ")"
	}
	return text
}

// planOverlay lays out one hierarchy; nil means that nothing is mounted there.
func planOverlay(in MergeInput, names []string, accepted map[string]Candidate, h extension.Hierarchy) (*Overlay, error) {
	o := &Overlay{Hierarchy: h.Path, Target: in.RootPath + h.Resolved, Permissions: h.Permissions}
	for _, name := range slices.Backward(names) {
		if layer := accepted[name].Content[h.Path]; layer != "" {
			o.Layers = append(o.Layers, layer)
		}
	}
	if in.Settings.Mutable == "no" && len(o.Layers) == 0 {
		return nil, nil
	}
	if h.Problem != "" {
		return nil, fmt.Errorf("merge %ss into %s: %s", in.Class, h.Path, h.Problem)
	}
	if in.Settings.Mutable == "yes" && h.Mutable == nil {
		return nil, fmt.Errorf("merge %ss: Mutable=yes: %s is missing, and creating it is not supported yet",
			in.Class, "/var/lib/extensions.mutable/"+extension.MutableName(h.Path))
	}
	isUpper := false
	if in.Settings.Mutable != "no" && h.Mutable != nil {
		if h.Mutable.Problem != "" {
			return nil, fmt.Errorf("merge %ss: mutable directory %s: %s", in.Class, h.Mutable.Path, h.Mutable.Problem)
		}
		isUpper = h.Mutable.IsHost
		work := path.Join(path.Dir(h.Mutable.Path), ".systemd-"+extension.MutableName(h.Path)+"-workdir")
		o.Upper, o.Work = in.RootPath+h.Mutable.Path, in.RootPath+work
		o.WorkInside = strings.TrimPrefix(work, "/")
	}
	if h.Exists && !h.Empty && !isUpper {
		o.Layers = append(o.Layers, o.Target)
		o.Backing = h.Backing
	}
	if o.Upper == "" && len(o.Layers) == 0 {
		// Nothing but metadata: the kernel takes no such overlay, and nobody would
		// gain from one. systemd 262 tries, and fails as a whole.
		return nil, nil
	}
	return o, nil
}
