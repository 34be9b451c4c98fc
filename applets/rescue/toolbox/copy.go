package toolbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// copier copies files and trees.
type copier struct {
	c         *call
	recursive bool
	// keepLinks copies links as links, also those that are named.
	keepLinks bool
	// preserve keeps owner, mode, times and extended attributes.
	preserve         bool
	force, noClobber bool
	update, verbose  bool
	// made are the directories that this copy made, by device and inode: a copy of a directory into itself must end.
	made map[[2]uint64]bool
	// links has the copies of files with several names, so that these stay names of one file.
	links map[[2]uint64]string
}

// cp copies: -r with all below, -a as well with owners, times, links and devices, -p owners and times, -n nothing that is there
// already, -u nothing that is newer there.
func cp(c *call) error {
	set, names, err := c.parse("a/archive d f/force i/interactive L/dereference n/no-clobber P/no-dereference p/preserve R r/recursive T/no-target-directory t:/target-directory u/update v/verbose")
	if err != nil {
		return err
	}
	cp := &copier{c: c, recursive: set.has("aRr"), preserve: set.has("ap"), force: set.has("f"), noClobber: set.has("n"),
		update: set.has("u"), verbose: set.has("v"), made: map[[2]uint64]bool{}, links: map[[2]uint64]string{}}
	// As the usual tool does: with -r links stay links.
	cp.keepLinks = set.has("aRrPd") && set.last("LaPd") != 'L'
	if set.has("i") {
		return wrongUse("there is no -i: use -n, which copies over nothing")
	}
	return c.eachPair(set, names, func(source, target string) error {
		return cp.copy(c.path(source), c.path(target))
	})
}

// eachPair finds out what goes where, as cp, mv and ln do: into the directory that is named last or by -t, else to the one other
// name. What fails is told, and the next one is next.
func (c *call) eachPair(set options, names []string, function func(source, target string) error) error {
	into, given := set.value('t')
	if !given {
		if len(names) < 2 {
			return wrongUse("name what to %s and where to", c.name)
		}
		into, names = names[len(names)-1], names[:len(names)-1]
	}
	info, err := os.Stat(c.path(into))
	isDir := err == nil && info.IsDir()
	switch {
	case given && !isDir, !isDir && len(names) > 1, !isDir && strings.HasSuffix(into, "/") && err == nil:
		return fmt.Errorf("%s: not a directory", into)
	case len(names) == 0:
		return wrongUse("name what to %s", c.name)
	case set.has("T") && len(names) > 1:
		return wrongUse("-T takes two names")
	}
	for _, name := range names {
		target := into
		if isDir && !set.has("T") {
			target = strings.TrimSuffix(into, "/") + "/" + filepath.Base(name)
		}
		if err := function(name, target); err != nil {
			c.complain(err)
		}
		if c.Err() != nil {
			return c.Err()
		}
	}
	return nil
}

func identity(stat *unix.Stat_t) [2]uint64 { return [2]uint64{uint64(stat.Dev), stat.Ino} }

func (k *copier) copy(source, target string) error {
	var from, to unix.Stat_t
	look := unix.Stat
	if k.keepLinks {
		look = unix.Lstat
	}
	if err := look(source, &from); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	// A link at the target that leads nowhere would make a file somewhere else.
	there := unix.Stat(target, &to)
	if there != nil && unix.Lstat(target, &to) == nil && to.Mode&unix.S_IFMT == unix.S_IFLNK && !k.keepLinks && !k.force {
		return fmt.Errorf("%s: it is a link that leads nowhere; remove it first", target)
	}
	exists := there == nil
	kind := from.Mode & unix.S_IFMT
	switch {
	case exists && identity(&from) == identity(&to) && kind != unix.S_IFLNK:
		return fmt.Errorf("%s and %s are the same file", source, target)
	case kind == unix.S_IFDIR && !k.recursive:
		return fmt.Errorf("%s: it is a directory; -r copies it", source)
	case exists && kind != unix.S_IFDIR && to.Mode&unix.S_IFMT == unix.S_IFDIR:
		return fmt.Errorf("%s: it is a directory, and %s is none", target, source)
	case exists && kind == unix.S_IFDIR && to.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s: it is no directory, and %s is one", target, source)
	case exists && kind != unix.S_IFDIR && (k.noClobber || k.update && !older(&to, &from)):
		return nil
	}
	if err := k.make(source, target, &from, exists); err != nil {
		return err
	}
	if k.verbose {
		fmt.Fprintf(k.c.out, "%s -> %s\n", k.c.text(source), k.c.text(target))
	}
	return nil
}

func older(a, b *unix.Stat_t) bool {
	return a.Mtim.Sec < b.Mtim.Sec || a.Mtim.Sec == b.Mtim.Sec && a.Mtim.Nsec < b.Mtim.Nsec
}

// make makes the copy.
func (k *copier) make(source, target string, from *unix.Stat_t, exists bool) error {
	kind := from.Mode & unix.S_IFMT
	if kind == unix.S_IFDIR {
		return k.directory(source, target, from, exists)
	}
	if first := k.links[identity(from)]; first != "" && k.preserve {
		_ = unix.Unlink(target)
		return os.Link(first, target)
	}
	var err error
	if kind == unix.S_IFREG || !k.recursive && kind != unix.S_IFLNK {
		err = k.regular(source, target, from)
	} else {
		if exists || k.force || k.keepLinks {
			if err := unix.Unlink(target); err != nil && err != unix.ENOENT {
				return fmt.Errorf("%s: %w", target, err)
			}
		}
		err = special(source, target, from)
	}
	if err != nil {
		return err
	}
	if k.preserve && from.Nlink > 1 {
		k.links[identity(from)] = target
	}
	return k.attributes(source, target, from)
}

// special copies links, devices, pipes and sockets.
func special(source, target string, from *unix.Stat_t) error {
	if from.Mode&unix.S_IFMT == unix.S_IFLNK {
		text, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return os.Symlink(text, target)
	}
	if err := unix.Mknod(target, from.Mode, int(from.Rdev)); err != nil {
		return fmt.Errorf("make %s: %w", target, err)
	}
	return nil
}

func (k *copier) regular(source, target string, from *unix.Stat_t) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	mode := os.FileMode(from.Mode & 0o777)
	out, err := os.OpenFile(target, flags, mode)
	if err != nil && k.force {
		if unix.Unlink(target) == nil {
			out, err = os.OpenFile(target, flags, mode)
		}
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	// A full disk may be noticed only now.
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", source, target, lastCause(err))
	}
	return nil
}

// lastCause is what the kernel said, if it said something.
func lastCause(err error) error {
	if number, ok := errors.AsType[unix.Errno](err); ok {
		return number
	}
	return err
}

func (k *copier) directory(source, target string, from *unix.Stat_t, exists bool) error {
	if k.made[identity(from)] {
		return fmt.Errorf("%s: a directory is not copied into itself", source)
	}
	if !exists {
		// Writable until all is in it.
		if err := os.Mkdir(target, 0o700|os.FileMode(from.Mode&0o777)); err != nil {
			return err
		}
	}
	var to unix.Stat_t
	if err := unix.Stat(target, &to); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	k.made[identity(&to)] = true
	names, err := readNames(source)
	if err != nil {
		k.c.complain(err)
	}
	for _, name := range names {
		below := filepath.Join(source, name)
		var stat unix.Stat_t
		if unix.Lstat(below, &stat) == nil && k.made[identity(&stat)] {
			k.c.complain(fmt.Errorf("%s: a directory is not copied into itself", below))
			continue
		}
		if err := k.copy(below, filepath.Join(target, name)); err != nil {
			k.c.complain(err)
		}
		if k.c.Err() != nil {
			return k.c.Err()
		}
	}
	if exists && !k.preserve {
		return nil
	}
	if !k.preserve {
		return os.Chmod(target, os.FileMode(from.Mode&0o777)&^os.FileMode(currentUmask()))
	}
	return k.attributes(source, target, from)
}

// currentUmask reads the umask in the only way that there is.
func currentUmask() int {
	mask := unix.Umask(0o022)
	unix.Umask(mask)
	return mask
}

// attributes gives the copy what -p and -a keep. An owner or attribute that cannot be kept is told.
func (k *copier) attributes(source, target string, from *unix.Stat_t) error {
	if !k.preserve {
		return nil
	}
	var problems []error
	if err := unix.Lchown(target, int(from.Uid), int(from.Gid)); err != nil && (os.Geteuid() == 0 || err != unix.EPERM) {
		problems = append(problems, fmt.Errorf("keep the owner of %s: %w", target, err))
	}
	if from.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(target, from.Mode&0o7777); err != nil {
			problems = append(problems, fmt.Errorf("keep the mode of %s: %w", target, err))
		}
	}
	if err := copyXattrs(source, target); err != nil {
		problems = append(problems, err)
	}
	times := []unix.Timespec{from.Atim, from.Mtim}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, target, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		problems = append(problems, fmt.Errorf("keep the time of %s: %w", target, err))
	}
	return errors.Join(problems...)
}

// maxXattrs bounds the names and the value of extended attributes; the kernel has the same bound.
const maxXattrs = 64 << 10

func copyXattrs(source, target string) error {
	buf := make([]byte, maxXattrs)
	n, err := unix.Llistxattr(source, buf)
	if err != nil || n == 0 {
		// Without them there is nothing to keep.
		return nil
	}
	value := make([]byte, maxXattrs)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		size, err := unix.Lgetxattr(source, name, value)
		if err == nil {
			err = unix.Lsetxattr(target, name, value[:size], 0)
		}
		// Privileged ones are for root, and some file systems have none.
		if err != nil && err != unix.ENOTSUP && err != unix.ENODATA && (os.Geteuid() == 0 || err != unix.EPERM) {
			return fmt.Errorf("keep %s of %s: %w", name, target, err)
		}
	}
	return nil
}
