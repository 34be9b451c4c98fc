package etcrules

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

const (
	// ThawList is the file of the root with what shall be thawed at the next boot.
	ThawList = "/.preroot-thaw"
	// Thawed is the directory of the root with what was thawed.
	Thawed = "/.preroot-thawed"
	// maxThaw bounds a list in entries.
	maxThaw = 10000
)

// FormatThawList writes a list: a path a line, quoted as in Go.
func FormatThawList(paths []string) string {
	var b strings.Builder
	for _, path := range paths {
		b.WriteString(strconv.Quote(path) + "\n")
	}
	return b.String()
}

// ParseThawList reads a list of plain paths in /etc.
func ParseThawList(text string) ([]string, error) {
	var paths []string
	number := 0
	for line := range strings.Lines(text) {
		number++
		path, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil || line[0] != '"' || !isPlainPath(path) || !strings.HasPrefix(path, "/etc/") {
			return nil, fmt.Errorf("line %d is no quoted path in /etc", number)
		}
		if len(paths) == maxThaw {
			return nil, fmt.Errorf("more than %d lines", maxThaw)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// planThaw moves what "drift --thaw" noted out of /etc, so that the default shows. It needs no settings: somebody asked for it.
func (r *Rules) planThaw() {
	f, found, err := r.look(ThawList)
	if err != nil || !found {
		return
	}
	if !f.isRegular() || f.uid != 0 || f.permissions()&0o022 != 0 {
		r.note("thaw: %s is no file that only root can write", ThawList)
		return
	}
	text, err := r.readFile(ThawList, &f, maxList)
	var paths []string
	if err == nil {
		paths, err = ParseThawList(text)
	}
	if err != nil {
		r.note("thaw: nothing is moved: %s: %v", ThawList, err)
		return
	}
	to, err := r.newThawed()
	if err != nil {
		r.note("thaw: nothing is moved: %v", err)
		return
	}
	planned := map[string]bool{}
	for _, path := range paths {
		f, found, err := r.look(path)
		if err != nil {
			r.note("thaw: %v", err)
			continue
		}
		if found && !planned[path] {
			planned[path] = true
			r.add(Action{Rule: "thaw", Do: MoveAside, Path: path, Why: "asked for; it is in " + to, seen: f, text: to + path})
		}
	}
	r.add(Action{Rule: "thaw", Do: Remove, Path: ThawList, Why: "all in it is done", seen: f})
}

// newThawed returns a directory that is not there yet: numbered, since the clock may not be right yet.
func (r *Rules) newThawed() (string, error) {
	_, found, err := r.look(Thawed)
	if err != nil {
		return "", err
	}
	highest := 0
	if found {
		d, err := r.root.open(Thawed[1:])
		if err != nil {
			return "", fmt.Errorf("open %s: %w", Thawed, err)
		}
		names, err := d.names()
		d.close()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", Thawed, err)
		}
		for _, name := range names {
			if number, err := strconv.Atoi(name); err == nil {
				highest = max(highest, number)
			}
		}
	}
	return Thawed + "/" + strconv.Itoa(highest+1), nil
}

// moveAside moves an entry with all in it to another path of the same file system.
func (r *Rules) moveAside(from *directory, name, to string) error {
	parts := strings.Split(to[1:], "/")
	at, err := r.root.open(".")
	if err != nil {
		return err
	}
	defer func() { at.close() }()
	for _, part := range parts[:len(parts)-1] {
		if err := unix.Mkdirat(at.fd, part, 0o700); err != nil && err != unix.EEXIST {
			return err
		}
		below, err := at.open(part)
		if err != nil {
			return err
		}
		at.close()
		at = below
	}
	return unix.Renameat2(from.fd, name, at.fd, parts[len(parts)-1], unix.RENAME_NOREPLACE)
}

// NoteThaw adds paths to the list of a root for its next boot.
func NoteThaw(root *rootdir.Root, paths []string) error {
	r, err := Open(root, plan.EtcRules{})
	if err != nil {
		return err
	}
	defer r.Close()
	f, found, err := r.look(ThawList)
	if err != nil {
		return err
	}
	var old *facts
	noted := ""
	if found {
		if !f.isRegular() {
			return fmt.Errorf("note what to thaw: %s is no regular file", ThawList)
		}
		if noted, err = r.readFile(ThawList, &f, maxList); err != nil {
			return err
		}
		if _, err := ParseThawList(noted); err != nil {
			return fmt.Errorf("note what to thaw: %s: %w", ThawList, err)
		}
		old = &f
	}
	for _, path := range paths {
		if line := FormatThawList([]string{path}); !strings.Contains("\n"+noted, "\n"+line) {
			noted += line
		}
	}
	if _, err := ParseThawList(noted); err != nil {
		return fmt.Errorf("note what to thaw: %w", err)
	}
	a := Action{mode: 0o600, hasMode: true, uid: 0, gid: 0}
	if err := r.replace(r.root, ThawList[1:], noted, old, &a); err != nil {
		return fmt.Errorf("note what to thaw in %s: %w", ThawList, err)
	}
	return nil
}
