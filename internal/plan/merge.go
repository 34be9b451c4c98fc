package plan

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
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
	// Files are the paths of what is not a directory in each hierarchy, below it, as far as other images have the directory that
	// it lies in as well. FilesCut says that there are more than were listed.
	Files    map[string][]string
	FilesCut bool
	// Failure says why it could not be opened; empty if it could.
	Failure string
	// Signature is what became of the signature of its root hash.
	Signature SignatureState
	// SignatureNote says why a signature was not accepted.
	SignatureNote string
}

// SignatureState says what became of the signature of a root hash.
type SignatureState string

// The states of a signature. One that is not accepted does not stop an image where the image policy
// lets the root hash alone do.
const (
	NoSignature         SignatureState = "none"
	SignatureByKernel   SignatureState = "accepted by the kernel"
	SignatureByUser     SignatureState = "accepted by a certificate"
	SignatureUnaccepted SignatureState = "not accepted"
)

// MergeInput is all that a merge of one class depends on.
type MergeInput struct {
	Class       osrelease.Class
	Settings    extension.Settings
	Host        osrelease.Host
	Candidates  []Candidate
	Hierarchies []extension.Hierarchy
	// Required names the images without which nothing may be merged.
	Required []string
	// RootPath is where the root is, e.g. "/sysroot"; empty for the running system's.
	RootPath string
	// Force merges whatever its release file says.
	Force bool
	// Strict makes an image that cannot be opened an error.
	Strict bool
	// Flags change the mount flags of hierarchies, by their paths as configured.
	Flags map[string]FlagChange
	// WithoutWrites makes read-only what takes writes on the root's file system, since that is mounted read-only. What
	// was written before stays on top.
	WithoutWrites bool
	// NoExec is --noexec=, nil if it was not given.
	NoExec *bool
	// KeepTimes gives merged directories the modification time of the host's. A merge before systemd starts must not
	// make /usr look new: ConditionNeedsUpdate= compares its time.
	KeepTimes bool
	// MountOptions replace the default options of overlays that take writes, if it is not empty
	// (SYSTEMD_CONFEXT_OVERLAYFS_MOUNT_OPTIONS).
	MountOptions string
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
	// Signature says what became of the root hash's signature, SignatureNote why it was not accepted.
	Signature     SignatureState
	SignatureNote string
}

// Merge is what will be mounted for one class.
type Merge struct {
	Class     osrelease.Class
	Decisions []Decision
	// Names of the accepted images, oldest first (the last one wins).
	Names []string
	// Files are the names of the files that the accepted images come from, in the order of Names.
	Files []string
	// Origin is the text of the file "origin", which systemd compares.
	Origin   []byte
	Overlays []Overlay
	// Shadows are files of one image that another one hides.
	Shadows []Shadow
	// Hierarchies are all of the class, as configured, whether or not something is mounted there.
	Hierarchies []string
}

// Ignored counts the images that were left out.
func (m *Merge) Ignored() int { return len(m.Decisions) - len(m.Names) }

// What a layer is if it is not an extension's. No extension has such a name.
const (
	FromHost   = "/host"   // the hierarchy itself
	FromImport = "/import" // the mutable directory, imported
)

// Overlay is one overlay mount.
type Overlay struct {
	// Hierarchy as configured; Target is where it is mounted, from outside.
	Hierarchy, Target string
	// Layers are the extensions' directories from the top down, without the
	// metadata, which lies above, and with the host's own directory at the end
	// if that is a layer. Paths are from outside.
	Layers []string
	// Sources says whose each of Layers is: the name of an extension, FromHost or FromImport.
	Sources []string
	// Upper and Work are directories from outside; empty when read-only, or Ephemeral.
	Upper, Work string
	// MakeUpper says that Upper is to be made if it is missing.
	MakeUpper bool
	// Ephemeral overlays take writes that go with the mount.
	Ephemeral bool
	// WorkInside is Work as the root sees it, without leading slash.
	WorkInside string
	// Options are for the file system, besides the directories.
	Options []mountapi.Option
	// Attributes of the mount.
	Attributes mountapi.Attributes
	// Permissions of the merged directory.
	Permissions uint32
	// Modified is the modification time that the merged directory is given; the zero time stands for now.
	Modified time.Time
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
	sort.Slice(m.Decisions, func(i, j int) bool { return compareNames(m.Decisions[i].Name, m.Decisions[j].Name) < 0 })
	leaveOutDoubles(m.Decisions, candidates)
	accepted := map[string]Candidate{}
	for _, d := range m.Decisions {
		if d.Accepted {
			accepted[d.Name] = candidates[d.Name]
			m.Names = append(m.Names, d.Name)
		}
	}
	for _, name := range m.Names {
		m.Files = append(m.Files, path.Base(accepted[name].Path))
	}
	if err := checkRequired(in, m.Decisions); err != nil {
		return nil, err
	}
	m.Shadows = findShadows(in, m.Names, accepted)
	if in.Strict {
		if err := checkStrict(in, candidates); err != nil {
			return nil, err
		}
	}
	for _, h := range in.Hierarchies {
		m.Hierarchies = append(m.Hierarchies, h.Path)
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
		if at := mutableDirectory(in.Settings.Mutable, h, overlay); at != "" {
			mutable[h.Path] = at
		}
		if overlay != nil {
			m.Overlays = append(m.Overlays, *overlay)
		}
	}
	m.Origin = encodeOrigin(in.Settings.Mutable, mutable, in.MountOptions, accepted)
	return m, nil
}

// mutableDirectory is what systemd writes into "origin" for a hierarchy: where writes go or what is imported, "" for
// nothing.
func mutableDirectory(mode string, h extension.Hierarchy, o *Overlay) string {
	switch mode {
	case "ephemeral", "ephemeral-import":
		// A constant in systemd 262, whatever the class, and not the real directory.
		return "/run/systemd/sysext/" + extension.MutableName(h.Path)
	case "import":
		if h.Mutable != nil {
			return h.Mutable.Path
		}
	case "auto", "yes":
		if o != nil && o.Upper != "" {
			return mutablePath(h)
		}
	}
	return ""
}

// mutablePath is where the mutable directory of a hierarchy is, or is to be made.
func mutablePath(h extension.Hierarchy) string {
	if h.Mutable != nil {
		return h.Mutable.Path
	}
	return h.MutablePath
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
	d := Decision{Class: in.Class, Name: c.Name, Path: c.Path, Protection: "none", Signature: NoSignature, SignatureNote: c.SignatureNote}
	if hash := c.RootHash(); len(hash) > 0 {
		d.RootHash = fmt.Sprintf("%x", hash)
	}
	if c.Use.Verity {
		d.Protection = "verity"
	}
	if c.Signature != "" {
		d.Signature = c.Signature
	}
	switch {
	case c.Problem != "":
		d.Reason = c.Problem
	case c.Failure != "":
		d.Reason = c.Failure
	case in.Force && c.NoRelease == "":
		d.Accepted, d.Reason = true, "forced"
	case in.Force:
		d.Accepted, d.Reason = true, "forced, although "+c.NoRelease
	case c.Release == nil:
		d.Reason = c.NoRelease
	default:
		match := osrelease.Match(in.Class, in.Host, c.Release)
		d.Accepted, d.Reason = match.Accepted, match.Reason
	}
	return d
}

// checkStrict refuses what systemd refuses as a whole: an image that cannot be opened.
func checkStrict(in MergeInput, candidates map[string]Candidate) error {
	for _, name := range slices.Sorted(maps.Keys(candidates)) {
		c := candidates[name]
		if reason := cmp.Or(c.Problem, c.Failure); reason != "" {
			return &StrictError{Name: name, Reason: reason}
		}
	}
	return nil
}

// StrictError says that an image cannot be opened, where such a one is not to be left out.
type StrictError struct{ Name, Reason string }

func (e *StrictError) Error() string { return "read metadata of image " + e.Name + ": " + e.Reason }

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
		if !d.Accepted || !c.Type.IsTree() {
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
				strings.Join(extension.SearchPath(in.Class, in.Host.Initrd), ", ")}
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

// writableOptions are systemd's for overlays that take writes: so the upper directory can be used again, also with other
// layers (systemd issue 37245).
const writableOptions = "redirect_dir=on,noatime,metacopy=off,index=off"

// maxLayers is how many lower layers an overlay can have (Linux, OVL_MAX_STACK in fs/overlayfs).
const maxLayers = 500

// planOverlay lays out one hierarchy; nil means that nothing is mounted there.
func planOverlay(in MergeInput, names []string, accepted map[string]Candidate, h extension.Hierarchy) (*Overlay, error) {
	mode := in.Settings.Mutable
	o := &Overlay{Hierarchy: h.Path, Target: in.RootPath + h.Resolved, Permissions: h.Permissions}
	for _, name := range slices.Backward(names) {
		if layer := accepted[name].Content[h.Path]; layer != "" {
			o.Layers, o.Sources = append(o.Layers, layer), append(o.Sources, name)
		}
	}
	if mode == "no" && len(o.Layers) == 0 {
		return nil, nil
	}
	if h.Problem != "" {
		return nil, fmt.Errorf("merge %ss into %s: %s", in.Class, h.Path, h.Problem)
	}
	if err := o.planWrites(in, h); err != nil {
		return nil, err
	}
	isUsed := o.Upper != "" && h.Mutable != nil && h.Mutable.IsHost || slices.Contains(o.Sources, FromHost)
	if h.Exists && !h.Empty && !isUsed {
		o.Layers, o.Sources = append(o.Layers, o.Target), append(o.Sources, FromHost)
		o.Backing = h.Backing
	}
	if !o.TakesWrites() && len(o.Layers) == 0 {
		// Nothing but metadata: the kernel takes no such overlay, and nobody would
		// gain from one. systemd 262 tries, and fails as a whole.
		return nil, nil
	}
	if count := 1 + len(o.Layers); count > maxLayers {
		return nil, fmt.Errorf("merge %ss into %s: %d layers with the metadata, the kernel takes %d: have fewer extensions with something there",
			in.Class, h.Path, count, maxLayers)
	}
	if in.KeepTimes {
		o.Modified = h.Modified
	}
	o.planAttributes(in)
	return o, nil
}

// TakesWrites reports whether the overlay has an upper directory.
func (o *Overlay) TakesWrites() bool { return o.Upper != "" || o.Ephemeral }

// planWrites says where writes go, and what is imported, as the mode has it.
func (o *Overlay) planWrites(in MergeInput, h extension.Hierarchy) error {
	m := h.Mutable
	problem := func(text string) error {
		return fmt.Errorf("merge %ss: mutable directory %s: %s", in.Class, mutablePath(h), text)
	}
	if in.Settings.Mutable != "no" && in.Settings.Mutable != "ephemeral" && m != nil && m.Problem != "" {
		return problem(m.Problem)
	}
	switch in.Settings.Mutable {
	case "no":
	case "auto", "yes":
		if m == nil && (in.Settings.Mutable == "auto" || in.WithoutWrites) {
			return nil
		}
		if in.WithoutWrites {
			source := FromImport
			if m.IsHost {
				source = FromHost
			}
			o.Layers = append([]string{in.RootPath + m.Path}, o.Layers...)
			o.Sources = append([]string{source}, o.Sources...)
			return nil
		}
		if m != nil && m.WriteProblem != "" {
			return problem(m.WriteProblem)
		}
		work := path.Join(path.Dir(mutablePath(h)), ".systemd-"+extension.MutableName(h.Path)+"-workdir")
		o.Upper, o.Work = in.RootPath+mutablePath(h), in.RootPath+work
		o.WorkInside, o.MakeUpper = strings.TrimPrefix(work, "/"), m == nil
	case "ephemeral":
		o.Ephemeral = true
	case "import", "ephemeral-import":
		o.Ephemeral = in.Settings.Mutable == "ephemeral-import"
		if m == nil {
			return nil
		}
		if m.IsHost {
			return problem("it is " + h.Path + " itself, which cannot be imported into itself")
		}
		o.Layers = append([]string{in.RootPath + m.Path}, o.Layers...)
		o.Sources = append([]string{FromImport}, o.Sources...)
	default:
		return fmt.Errorf("merge %ss: Mutable=%s is no mode", in.Class, in.Settings.Mutable)
	}
	return nil
}

// planAttributes sets the flags of the mount, which are systemd's.
func (o *Overlay) planAttributes(in MergeInput) {
	o.Attributes = mountapi.NoDev
	if in.Class == osrelease.ClassConfext {
		o.Attributes |= mountapi.NoSUID | mountapi.NoExec
	}
	change := in.Flags[o.Hierarchy]
	o.Attributes = o.Attributes&^change.Clear | change.Set
	if in.NoExec != nil {
		o.Attributes &^= mountapi.NoExec
		if *in.NoExec {
			o.Attributes |= mountapi.NoExec
		}
	}
	text := in.MountOptions
	if text == "" && o.TakesWrites() {
		text = writableOptions
	}
	options, attributes := mountapi.ParseOptions(text)
	o.Options = options
	o.Attributes |= attributes
	if !o.TakesWrites() {
		o.Attributes |= mountapi.ReadOnly
	}
}
