// Package etcrules keeps the writable /etc of a root in step with what its images ship: what equals the shipped version goes, deletions that
// cannot stay are taken back, accounts and directories that the system needs are there, and a reset leaves what it was told to leave. The rules R1 to R7 are
// those of Flatcar's initrd; docs/etc-rules.md lists them. They run on the bare root, before anything is merged into /etc, at every boot.
//
// Each rule is planned, then applied: a Plan says what is removed and created, and why. The rules are made to be interrupted: whatever
// was done, the next run comes to the same result. An error with one entry stops nothing.
//
// The root is not trusted, and it is shared by both slots of a system. Paths in it are taken name by name from open directories: no link is
// followed, no mount crossed (openat2(2), RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV), and what is removed must still be what was planned for.
package etcrules

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// Verb is what an action does.
type Verb string

const (
	Remove          Verb = "remove"
	RemoveTree      Verb = "remove tree"
	CreateDirectory Verb = "create directory"
	CreateLink      Verb = "create link"
	CreateFile      Verb = "create file"
	CopyTree        Verb = "copy"
	AppendLines     Verb = "append"
	SetOwner        Verb = "set mode and owner"
	MoveAside       Verb = "move aside"
)

// Action is one change.
type Action struct {
	// Rule is "R1" to "R7", or "thaw".
	Rule string
	Do   Verb
	// Path inside the root.
	Path string
	Why  string
	// Error says why it was not done; empty if it was, or was not tried.
	Error string

	// seen is what was there when this was planned.
	seen facts
	// What to create.
	mode     uint32
	hasMode  bool
	uid, gid int // -1: as it is
	text     string
	// source is what to copy, below /usr.
	source string
	// keeps says what stays below a tree.
	keeps func(path string) bool
	// last: nothing may be lost of what was done before, once this is.
	last bool
}

func (a Action) String() string {
	text := fmt.Sprintf("%s: %s %q: %s", a.Rule, a.Do, a.Path, a.Why)
	if a.Error != "" {
		text += ": failed: " + a.Error
	}
	return text
}

// Plan is what the rules do, in the order in which they do it.
type Plan struct {
	Actions []Action
	// Notes say what was left alone although a rule is about it.
	Notes []string
}

// Count returns how many actions of a kind a rule has that did not fail.
func (p *Plan) Count(rule string, verbs ...Verb) int {
	count := 0
	for _, a := range p.Actions {
		for _, verb := range verbs {
			if a.Rule == rule && a.Do == verb && a.Error == "" {
				count++
			}
		}
	}
	return count
}

// Rules are the rules for one root.
type Rules struct {
	settings plan.EtcRules
	plan     *Plan
	root     *directory
	// usr is nil if the root has none.
	usr *directory
	// supposed is what a dry run takes for done.
	supposed map[string]supposition
	parent   parentCache
	ids      *accountIDs
}

// Open prepares the rules for a root. References come from the /usr that is below it now: nothing may cover a verified one.
func Open(root *rootdir.Root, settings plan.EtcRules) (*Rules, error) {
	top, err := root.Open("/", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	r := &Rules{settings: settings, plan: &Plan{}, supposed: map[string]supposition{}}
	if r.root, err = openDirectory(int(top.Fd()), ".", 0); err != nil {
		return nil, fmt.Errorf("open root %s: %w", root.Host("/"), err)
	}
	// /usr itself may be, and normally is, another mount.
	r.usr, err = openDirectory(r.root.fd, "usr", unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS|unix.RESOLVE_BENEATH)
	if err != nil && err != unix.ENOENT {
		r.Close()
		return nil, fmt.Errorf("open %s: %w", root.Host("/usr"), err)
	}
	return r, nil
}

// Close closes what Open opened.
func (r *Rules) Close() {
	r.parent.close()
	if r.usr != nil {
		r.usr.close()
	}
	r.root.close()
}

// Run goes through the rules in their order and applies each. A dry run changes nothing: it supposes that what a rule removes
// is gone for the next one.
func (r *Rules) Run(dryRun bool) *Plan {
	r.plan = &Plan{}
	if !dryRun && r.root.isReadOnly() {
		r.note("the root is read-only: no rule is applied")
		return r.plan
	}
	for _, rule := range []func(){
		r.planReset, r.planThaw, r.planWhiteouts, r.planEtc, r.planAccounts, r.planBaseDirectories, r.planMachineID, r.planCleanup,
	} {
		first := len(r.plan.Actions)
		rule()
		planned := r.plan.Actions[first:]
		if dryRun {
			r.suppose(planned)
			continue
		}
		r.apply(planned)
	}
	return r.plan
}

func (r *Rules) note(format string, arguments ...any) {
	r.plan.Notes = append(r.plan.Notes, fmt.Sprintf(format, arguments...))
}

func (r *Rules) add(a Action) { r.plan.Actions = append(r.plan.Actions, a) }

// supposition is what a dry run supposes of a path.
type supposition int

const (
	isRemoved supposition = iota + 1 // with all below
	isEmptied                        // there again, with nothing below
)

// suppose notes what actions would do that are not applied.
func (r *Rules) suppose(actions []Action) {
	for _, a := range actions {
		switch a.Do {
		case Remove, RemoveTree, MoveAside:
			r.supposed[a.Path] = isRemoved
		case CreateDirectory, CreateLink, CreateFile, CopyTree, AppendLines:
			if r.isGone(a.Path) {
				r.supposed[a.Path] = isEmptied
			}
		}
	}
}

// isGone reports whether a dry run supposes that nothing is there.
func (r *Rules) isGone(path string) bool {
	if len(r.supposed) == 0 {
		return false
	}
	switch r.supposed[path] {
	case isRemoved:
		return true
	case isEmptied:
		return false
	}
	for path = parentOf(path); path != ""; path = parentOf(path) {
		if r.supposed[path] != 0 {
			return true
		}
	}
	return false
}
