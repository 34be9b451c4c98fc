package toolbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mv renames; between file systems it copies everything and removes the original then.
func mv(c *call) error {
	set, names, err := c.parse("f/force n/no-clobber T/no-target-directory t:/target-directory v/verbose")
	if err != nil {
		return err
	}
	return c.eachPair(set, names, func(source, target string) error {
		source, target = c.path(strings.TrimRight(source, "/")+strings.Repeat("/", boolInt(strings.Trim(source, "/") == ""))), c.path(target)
		if _, err := os.Lstat(target); err == nil && set.last("fn") == 'n' {
			return nil
		}
		var from, to unix.Stat_t
		if unix.Lstat(source, &from) == nil && unix.Lstat(target, &to) == nil && identity(&from) == identity(&to) && source != target &&
			from.Nlink > 1 && from.Mode&unix.S_IFMT != unix.S_IFDIR {
			// The kernel does nothing with two names of one file; the usual tool removes one.
			return unix.Unlink(source)
		}
		if err := move(c, source, target); err != nil {
			return err
		}
		if set.has("v") {
			fmt.Fprintf(c.out, "renamed %s -> %s\n", c.text(source), c.text(target))
		}
		return nil
	})
}

func move(c *call, source, target string) error {
	err := unix.Rename(source, target)
	if err == nil {
		return nil
	}
	if err != unix.EXDEV {
		return fmt.Errorf("%s to %s: %w", source, target, err)
	}
	var to unix.Stat_t
	if unix.Lstat(target, &to) == nil {
		// As rename would: a directory only over an empty one, a file over a file.
		remove := unix.Unlink
		if to.Mode&unix.S_IFMT == unix.S_IFDIR {
			remove = unix.Rmdir
		}
		if err := remove(target); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	before := c.code
	c.code = 0
	k := &copier{c: c, recursive: true, keepLinks: true, preserve: true, made: map[[2]uint64]bool{}, links: map[[2]uint64]string{}}
	err = k.copy(source, target)
	complete := err == nil && c.code == 0
	c.code = max(before, c.code)
	if !complete {
		return errors.Join(err, fmt.Errorf("%s stays, since not all of it could be copied to %s", source, target))
	}
	return os.RemoveAll(source)
}

// rm removes: -r with all below, -f without asking for what is not there.
func rm(c *call) error {
	set, names, err := c.parse("d/dir f/force i R r/recursive v/verbose")
	if err != nil {
		return err
	}
	if len(names) == 0 && !set.has("f") {
		return wrongUse("name what to remove")
	}
	if set.has("i") {
		return wrongUse("there is no -i")
	}
	for _, name := range names {
		if err := remove(c, set, name); err != nil {
			c.complain(err)
		}
	}
	return nil
}

func remove(c *call, set options, name string) error {
	// "dir/.." and "." cannot be meant, and "/" least of all.
	base := filepath.Base(name)
	if name != "" && (base == "." || base == ".." || filepath.Clean(c.path(name)) == "/") {
		return fmt.Errorf("%s: this is never removed", name)
	}
	path := c.path(name)
	info, err := os.Lstat(path)
	if err != nil {
		if set.has("f") && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)) {
			return nil
		}
		return fmt.Errorf("%s: %w", name, lastCause(err))
	}
	switch {
	case info.IsDir() && set.has("Rr"):
		err = os.RemoveAll(path)
	case info.IsDir() && set.has("d"):
		err = unix.Rmdir(path)
	case info.IsDir():
		return fmt.Errorf("%s: it is a directory; -r removes it with all below", name)
	default:
		err = unix.Unlink(path)
	}
	if err != nil {
		if below, ok := errors.AsType[*os.PathError](err); ok {
			return fmt.Errorf("%s: %w", below.Path, below.Err)
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	if set.has("v") {
		fmt.Fprintf(c.out, "removed %s\n", c.text(name))
	}
	return nil
}

func boolInt(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
