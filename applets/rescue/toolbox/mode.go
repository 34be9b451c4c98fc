package toolbox

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// parseMode reads a mode as chmod(1) takes it, octal or such as u+x,go-w,a=rX. change computes the new mode of a file.
func parseMode(text string) (change func(mode uint32, isDir bool) uint32, err error) {
	if text != "" && text[0] >= '0' && text[0] <= '9' {
		octal, err := strconv.ParseUint(text, 8, 16)
		if err != nil || octal > 0o7777 {
			return nil, fmt.Errorf("%q is no mode, such as 644 or u+x", text)
		}
		return func(mode uint32, isDir bool) uint32 {
			if isDir && len(text) < 5 {
				// Nobody who types three digits means the special bits of a directory.
				return uint32(octal) | mode&(unix.S_ISUID|unix.S_ISGID)
			}
			return uint32(octal)
		}, nil
	}
	var steps []modeStep
	for clause := range strings.SplitSeq(text, ",") {
		list, err := parseClause(clause)
		if err != nil {
			return nil, fmt.Errorf("%q is no mode, such as 644 or u+x", text)
		}
		steps = append(steps, list...)
	}
	mask := uint32(currentUmask())
	return func(mode uint32, isDir bool) uint32 {
		mode &= 0o7777
		for _, s := range steps {
			mode = s.apply(mode, isDir, mask)
		}
		return mode
	}, nil
}

// modeStep is one "u+x".
type modeStep struct {
	who         uint32 // as bits 0o700, 0o070, 0o007; 0 if nobody was named
	operation   byte
	permissions string
}

func parseClause(clause string) ([]modeStep, error) {
	who := uint32(0)
	rest := strings.TrimLeft(clause, "ugoa")
	for _, letter := range clause[:len(clause)-len(rest)] {
		who |= map[rune]uint32{'u': 0o700, 'g': 0o070, 'o': 0o007, 'a': 0o777}[letter]
	}
	if rest == "" {
		return nil, strconv.ErrSyntax
	}
	var steps []modeStep
	for rest != "" {
		operation := rest[0]
		if strings.IndexByte("+-=", operation) < 0 {
			return nil, strconv.ErrSyntax
		}
		rest = rest[1:]
		after := strings.TrimLeft(rest, "rwxXst")
		if after == rest && rest != "" && strings.IndexByte("ugo", rest[0]) >= 0 {
			after = rest[1:]
		}
		steps = append(steps, modeStep{who, operation, rest[:len(rest)-len(after)]})
		rest = after
	}
	return steps, nil
}

func (s modeStep) apply(mode uint32, isDir bool, mask uint32) uint32 {
	who, allowed := s.who, uint32(0o7777)
	if who == 0 {
		// Nobody named: all, but what the umask keeps away.
		who, allowed = 0o777, 0o7777&^mask
	}
	bits, special := uint32(0), uint32(0)
	for _, letter := range s.permissions {
		switch letter {
		case 'r':
			bits |= 0o444
		case 'w':
			bits |= 0o222
		case 'x':
			bits |= 0o111
		case 'X':
			if isDir || mode&0o111 != 0 {
				bits |= 0o111
			}
		case 's':
			special |= who & 0o700 << 3 & unix.S_ISUID
			special |= who & 0o070 << 7 & unix.S_ISGID
		case 't':
			special |= unix.S_ISVTX
		case 'u':
			bits |= mode >> 6 & 7 * 0o111
		case 'g':
			bits |= mode >> 3 & 7 * 0o111
		case 'o':
			bits |= mode & 7 * 0o111
		}
	}
	bits = bits&who&allowed | special
	switch s.operation {
	case '+':
		return mode | bits
	case '-':
		return mode &^ bits
	}
	cleared := who & allowed
	if !isDir {
		cleared |= who & 0o700 << 3 & unix.S_ISUID
		cleared |= who & 0o070 << 7 & unix.S_ISGID
	}
	return mode&^cleared | bits
}

// chmod changes modes: -R of all below, too.
func chmod(c *call) error {
	// A mode such as -x looks like an option.
	for i, word := range c.Arguments[1:] {
		if word == "--" || !strings.HasPrefix(word, "-") {
			break
		}
		if len(word) > 1 && strings.Trim(word[1:], "rwxXst") == "" {
			arguments := append([]string{}, c.Arguments[:i+1]...)
			c.Arguments = append(append(arguments, "a"+word), c.Arguments[i+2:]...)
			break
		}
	}
	set, names, err := c.parse("f/silent R/recursive v/verbose")
	if err != nil {
		return err
	}
	if len(names) < 2 {
		return wrongUse("name a mode and files")
	}
	change, err := parseMode(names[0])
	if err != nil {
		return wrongUse("%v", err)
	}
	return c.eachBelow(names[1:], set.has("R"), func(path string, entry fs.DirEntry) error {
		var stat unix.Stat_t
		if entry != nil && entry.Type()&fs.ModeSymlink != 0 {
			// Links that are met have no mode of their own, and may lead out.
			return nil
		}
		if err := unix.Stat(path, &stat); err != nil {
			return err
		}
		mode := change(stat.Mode&0o7777, stat.Mode&unix.S_IFMT == unix.S_IFDIR)
		if set.has("v") {
			fmt.Fprintf(c.out, "%s: %04o to %04o\n", c.text(path), stat.Mode&0o7777, mode)
		}
		return unix.Chmod(path, mode)
	})
}

// chown changes owners, which are numbers here: UID, UID:GID or :GID; -h of a link itself, -R of all below, too.
func chown(c *call) error {
	set, names, err := c.parse("h/no-dereference R/recursive v/verbose")
	if err != nil {
		return err
	}
	if len(names) < 2 {
		return wrongUse("name an owner and files")
	}
	user, group, err := parseOwner(names[0])
	if err != nil {
		return wrongUse("%v", err)
	}
	return c.eachBelow(names[1:], set.has("R"), func(path string, entry fs.DirEntry) error {
		if set.has("v") {
			fmt.Fprintf(c.out, "%s: %s\n", c.text(path), names[0])
		}
		if set.has("h") || entry != nil {
			return unix.Lchown(path, user, group)
		}
		return unix.Chown(path, user, group)
	})
}

func parseOwner(text string) (user, group int, err error) {
	first, second, both := strings.Cut(text, ":")
	numbers := [2]int{-1, -1}
	for i, part := range []string{first, second} {
		if part == "" {
			continue
		}
		if part == "root" {
			part = "0"
		}
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || n == 1<<32-1 {
			return 0, 0, fmt.Errorf("%q: owners are numbers here, UID:GID", text)
		}
		numbers[i] = int(n)
	}
	if first == "" && (!both || second == "") {
		return 0, 0, fmt.Errorf("%q: owners are numbers here, UID:GID", text)
	}
	return numbers[0], numbers[1], nil
}

// eachBelow calls a function with each name, without an entry, and if recursive with all below it. Links are not followed there.
func (c *call) eachBelow(names []string, recursive bool, function func(path string, entry fs.DirEntry) error) error {
	for _, name := range names {
		if err := function(c.path(name), nil); err != nil {
			c.complain(fmt.Errorf("%s: %w", name, err))
			continue
		}
		if !recursive {
			continue
		}
		_ = filepath.WalkDir(c.path(name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && path != c.path(name) {
				err = function(path, entry)
			}
			if err != nil {
				c.complain(fmt.Errorf("%s: %w", path, lastCause(err)))
			}
			return c.Err()
		})
	}
	return nil
}
