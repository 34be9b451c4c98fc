package etcrules

import (
	"golang.org/x/sys/unix"
)

// finding is what a walk says of one entry of the upper directory.
type finding struct {
	path  string
	facts facts
	// hasDefault: the lower tree has an entry of this name, reached through real directories only.
	hasDefault bool
	lower      facts
	// differs says in what the entry differs from the default, "" if in nothing that counts.
	differs string
	// hidden: an ancestor is opaque or was renamed, so that the default would not show if the entry were gone.
	hidden bool
	// attributes of a directory.
	attributes attributes
	// isEmptied: a directory in which nothing is left but what equals its default.
	isEmptied bool
}

// isSame reports whether the default would show, and would look the same, if the entry were gone. (A directory must be empty, too.)
func (f *finding) isSame() bool { return f.hasDefault && f.differs == "" && !f.hidden }

// walk compares an upper directory with a lower one, depth first: a directory comes behind its entries.
type walk struct {
	comparer
	// deep: look at everything; otherwise only where something could be the same.
	deep bool
	// isGone and note may be nil.
	isGone func(path string) bool
	visit  func(*finding)
	note   func(path string, err error)
}

// directory walks through two directories; path is that of the upper one. hidden is set below what hides the lower one. It reports whether
// everything in it is the same.
func (w *walk) directory(upper, lower *directory, path string, hidden bool) bool {
	names, err := upper.names()
	if err != nil {
		w.note(path, err)
		return false
	}
	allSame := true
	for _, name := range names {
		f := finding{path: path + "/" + name, hidden: hidden}
		if w.isGone != nil && w.isGone(f.path) {
			continue
		}
		if err := w.entry(&f, upper, lower, name); err != nil {
			w.note(f.path, err)
			allSame = false
			continue
		}
		if !f.isSame() || (f.facts.isDirectory() && !f.isEmptied) {
			allSame = false
		}
	}
	return allSame
}

func (w *walk) entry(f *finding, upper, lower *directory, name string) (err error) {
	if f.facts, err = upper.stat(name); err != nil {
		return err
	}
	if f.facts.mount != upper.mount {
		return errElsewhere
	}
	if lower != nil {
		switch f.lower, err = lower.stat(name); err {
		case nil:
			f.hasDefault = true
		case unix.ENOENT:
		default:
			return err
		}
	}
	if f.hasDefault {
		f.differs = differsIn(&f.facts, &f.lower)
	}
	if f.facts.isDirectory() {
		return w.enter(f, upper, lower, name)
	}
	if f.isSame() || (w.deep && f.hasDefault && f.differs == "") {
		switch f.facts.kind() {
		case unix.S_IFREG:
			f.differs, err = w.compareFiles(upper, name, &f.facts, lower, &f.lower)
		case unix.S_IFLNK:
			f.differs, err = compareLinks(upper, name, lower)
		default:
			f.differs = "neither a file nor a link"
		}
		if err != nil {
			return err
		}
	}
	w.visit(f)
	return nil
}

// enter compares a directory and what is in it.
func (w *walk) enter(f *finding, upper, lower *directory, name string) error {
	if !w.deep && !(f.hasDefault && f.lower.isDirectory()) {
		// Nothing in it has a default.
		w.visit(f)
		return nil
	}
	mine, err := upper.open(name)
	if err != nil {
		return err
	}
	defer mine.close()
	if f.attributes, err = readAttributes(mine.fd); err != nil {
		return err
	}
	hides := f.attributes.hides() != ""
	var theirs *directory
	if f.hasDefault && f.lower.isDirectory() && !(f.attributes.redirect) {
		if theirs, err = lower.open(name); err != nil {
			return err
		}
		defer theirs.close()
		if f.differs == "" {
			attributes, err := readAttributes(theirs.fd)
			if err != nil {
				return err
			}
			f.differs = differsInAttributes(&f.attributes, &attributes)
		}
	}
	if f.differs == "" && f.attributes.redirect {
		f.differs = "renamed"
	}
	if f.differs == "" && f.attributes.opaque {
		f.differs = "opaque"
	}
	if w.deep || !(f.hidden || hides) {
		f.isEmptied = w.directory(mine, theirs, f.path, f.hidden || hides)
	}
	w.visit(f)
	return nil
}
