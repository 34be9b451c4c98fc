package etcrules

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/tmpfiles"
)

// planBaseDirectories is R4: the directories that the system needs at once. What is there stays, but for modes and owners that a line names.
func (r *Rules) planBaseDirectories() {
	r.ids = nil
	b := baseDirectories{Rules: r, made: map[string]byte{}}
	for _, a := range r.plan.Actions {
		// A dry run has only planned it.
		if _, found, err := r.look(a.Path); a.Do == CreateDirectory && err == nil && !found {
			b.made[a.Path] = 'd'
		}
	}
	for _, file := range r.settings.Tmpfiles {
		text, err := r.readShipped(file, maxList)
		if err == unix.ENOENT {
			r.note("R4: there is no %s", file)
			continue
		}
		if err != nil {
			r.note("R4: %v", err)
			continue
		}
		lines, err := tmpfiles.Parse([]byte(text))
		if err != nil {
			r.note("R4: %s: %v", file, err)
		}
		for _, line := range lines {
			if line.BootOnly {
				continue
			}
			if err := b.line(&line); err != nil {
				r.note("R4: %s, line %d: %v", file, line.Number, err)
			}
		}
	}
	if link := r.settings.MutableLink; link != "" {
		for _, line := range []tmpfiles.Line{{Type: 'd', Path: parentOf(link)}, {Type: 'L', Path: link, Argument: "/etc"}} {
			if err := b.line(&line); err != nil {
				r.note("R4: %v", err)
			}
		}
	}
}

// baseDirectories is the planning of one run.
type baseDirectories struct {
	*Rules
	// made are the paths that are planned, with their type.
	made map[string]byte
}

func (b *baseDirectories) line(l *tmpfiles.Line) error {
	if l.Path == "/" || b.made[l.Path] != 0 {
		return nil
	}
	uid, err := b.lookupID(l.User, false)
	if err != nil {
		return err
	}
	gid, err := b.lookupID(l.Group, true)
	if err != nil {
		return err
	}
	a := Action{Rule: "R4", Path: l.Path, Why: "the image needs it", mode: l.Mode, hasMode: l.HasMode, uid: uid, gid: gid, text: l.Argument}
	f, found, err := b.lookMade(l.Path)
	if errors.Is(err, errElsewhere) || (found && f.isWhiteout()) {
		// A mount such as /run is not the root's, and in /etc R2 says what does not stay deleted.
		return nil
	}
	if err != nil {
		return err
	}
	if found {
		return b.adjust(l, a, &f)
	}
	switch l.Type {
	case 'z':
		return nil
	case 'd', 'D':
		a.Do = CreateDirectory
		if !a.hasMode {
			a.mode, a.hasMode = 0o755, true
		}
	case 'L':
		a.Do = CreateLink
	case 'f':
		a.Do = CreateFile
		if !a.hasMode {
			a.mode, a.hasMode = 0o644, true
		}
	case 'C':
		a.Do, a.source = CopyTree, l.Argument
		fd, err := b.openShipped(a.source, unix.O_PATH|unix.O_NOFOLLOW)
		if err != nil {
			return fmt.Errorf("open %s: %w", a.source, err)
		}
		unix.Close(fd)
	}
	if err := b.makeParents(l.Path); err != nil {
		return err
	}
	b.made[l.Path] = l.Type
	b.add(a)
	return nil
}

// lookMade is look for a path whose parents may only be planned.
func (b *baseDirectories) lookMade(path string) (facts, bool, error) {
	for p := parentOf(path); p != ""; p = parentOf(p) {
		switch b.made[p] {
		case 0:
		case 'd', 'D':
			return facts{}, false, nil
		default:
			return facts{}, false, fmt.Errorf("%q lies below something that is no directory", path)
		}
	}
	return b.look(path)
}

func (b *baseDirectories) makeParents(path string) error {
	parent := parentOf(path)
	if parent == "" || b.made[parent] != 0 {
		return nil
	}
	f, found, err := b.lookMade(parent)
	if err != nil {
		return err
	}
	if found {
		if !f.isDirectory() {
			return fmt.Errorf("%q is no directory", parent)
		}
		return nil
	}
	if err := b.makeParents(parent); err != nil {
		return err
	}
	b.made[parent] = 'd'
	b.add(Action{Rule: "R4", Do: CreateDirectory, Path: parent, Why: "the image needs " + path, mode: 0o755, hasMode: true, uid: -1, gid: -1})
	return nil
}

// adjust gives what is there the mode and owner of a line.
func (b *baseDirectories) adjust(l *tmpfiles.Line, a Action, f *facts) error {
	wantsDirectory := l.Type == 'd' || l.Type == 'D'
	switch {
	case l.Type == 'L' || l.Type == 'C':
		return nil
	case wantsDirectory && !f.isDirectory():
		return fmt.Errorf("%q is no directory", l.Path)
	case l.Type == 'f' && !f.isRegular():
		return fmt.Errorf("%q is no regular file", l.Path)
	case f.kind() == unix.S_IFLNK:
		return nil
	}
	if l.NewMode {
		a.hasMode = false
	}
	if l.NewUser {
		a.uid = -1
	}
	if l.NewGroup {
		a.gid = -1
	}
	if !(a.hasMode && a.mode != f.permissions()) && !(a.uid >= 0 && uint32(a.uid) != f.uid) && !(a.gid >= 0 && uint32(a.gid) != f.gid) {
		return nil
	}
	if !f.isDirectory() && f.links > 1 {
		// It may be a file of somebody else's under this name.
		return fmt.Errorf("%q has several names", l.Path)
	}
	if !a.hasMode {
		// A change of owner clears bits.
		a.mode, a.hasMode = f.permissions(), true
	}
	a.Do, a.Why, a.seen = SetOwner, "the image wants them so", *f
	b.add(a)
	return nil
}
