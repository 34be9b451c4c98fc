package etcrules

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// State is what became of a default in the writable /etc.
type State string

const (
	// Same: equal to the default in all that the rules compare, and in the way of every later default ("frozen").
	Same State = "same"
	// Changed: different from the default.
	Changed State = "changed"
	// HidesNewer: different, and the default was last modified after it: somebody changed an older default, or has an old copy.
	HidesNewer State = "hides-newer"
	// Deleted: a whiteout.
	Deleted State = "deleted"
	// Opaque: a directory that hides all of the default's.
	Opaque State = "opaque"
	// Added: there is no default of this name.
	Added State = "added"
)

// Drift is one entry of the writable directory.
type Drift struct {
	// Path inside the root.
	Path  string
	State State
	// Type is "file", "directory", "link", "whiteout" or "other".
	Type string
	// Why says in what it is different, or what else there is to know.
	Why string
	// Modified and DefaultModified are times in nanoseconds since 1970; the second is 0 without a default.
	Modified, DefaultModified int64
	// Hidden: a directory above is opaque or renamed, so that the default would not show either way.
	Hidden bool
}

// FindDrift compares a writable directory with the default, which are open directories; path is that of the hierarchy. Directories that equal their default
// and hold other entries are not named: they have to be there. notes are of what could not be looked at.
func FindDrift(upper, lower int, path string) (all []Drift, notes []string, err error) {
	mine, err := openDirectory(upper, ".", unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return nil, nil, fmt.Errorf("open the writable %s: %w", path, err)
	}
	defer mine.close()
	theirs, err := openDirectory(lower, ".", unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return nil, nil, fmt.Errorf("open the default %s: %w", path, err)
	}
	defer theirs.close()
	attributes, err := readAttributes(mine.fd)
	if err != nil {
		return nil, nil, err
	}
	hides := attributes.hides()
	if hides != "" {
		all = append(all, Drift{Path: path, State: Opaque, Type: "directory", Why: hides})
	}
	w := walk{
		deep: true,
		note: func(path string, err error) { notes = append(notes, fmt.Sprintf("%q: %v", path, err)) },
		visit: func(f *finding) {
			if d, told := driftOf(f); told {
				all = append(all, d)
			}
		},
	}
	w.directory(mine, theirs, path, hides != "")
	return all, notes, nil
}

func driftOf(f *finding) (d Drift, told bool) {
	d = Drift{Path: f.path, Type: typeName(&f.facts), Why: f.differs, Modified: f.facts.modified, Hidden: f.hidden}
	if f.hasDefault {
		d.DefaultModified = f.lower.modified
	}
	switch {
	case f.facts.isWhiteout():
		d.State, d.Why = Deleted, ""
		if !f.hasDefault {
			d.Why = "the default is gone as well"
		}
	case f.attributes.opaque:
		d.State, d.Why = Opaque, ""
	case !f.hasDefault:
		d.State = Added
	case f.differs == "":
		d.State = Same
		return d, !f.facts.isDirectory() || f.isEmptied
	case !f.facts.isDirectory() && f.lower.modified > f.facts.modified:
		d.State = HidesNewer
	default:
		d.State = Changed
	}
	return d, true
}

func typeName(f *facts) string {
	switch f.kind() {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "link"
	}
	if f.isWhiteout() {
		return "whiteout"
	}
	return "other"
}
