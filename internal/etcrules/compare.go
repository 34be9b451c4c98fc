package etcrules

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Marks of overlayfs: extended attributes that give an entry of an upper directory another meaning.
const (
	markPrefix   = "trusted.overlay."
	markOpaque   = markPrefix + "opaque"
	markRedirect = markPrefix + "redirect"
	markMetacopy = markPrefix + "metacopy"
	markWhiteout = markPrefix + "whiteout"
	aclAccess    = "system.posix_acl_access"
	aclDefault   = "system.posix_acl_default"
)

// attributes are the extended attributes that count. SELinux labels and all others are ignored on purpose.
type attributes struct {
	opaque, redirect, metacopy, whiteout bool
	access, inherited                    string // POSIX ACLs as the kernel has them: numeric, in order
}

// hides says why what lies below a directory is not what the default directory has of that name, "" if it is.
func (a *attributes) hides() string {
	switch {
	case a.opaque:
		return "opaque"
	case a.redirect:
		return "renamed"
	}
	return ""
}

// readAttributes reads those of an open file or directory. A file system without any has none.
func readAttributes(fd int) (a attributes, err error) {
	var stack [1024]byte
	list := stack[:]
	n, err := unix.Flistxattr(fd, list)
	if err == unix.ERANGE {
		list = make([]byte, 64<<10) // XATTR_LIST_MAX
		n, err = unix.Flistxattr(fd, list)
	}
	if err == unix.ENOTSUP {
		return a, nil
	}
	if err != nil {
		return a, fmt.Errorf("list attributes: %w", err)
	}
	for len(list[:n]) > 0 {
		end := bytes.IndexByte(list[:n], 0)
		if end < 0 {
			break
		}
		name := string(list[:end])
		list, n = list[end+1:], n-end-1
		switch name {
		case markRedirect:
			a.redirect = true
		case markMetacopy:
			a.metacopy = true
		case markWhiteout:
			a.whiteout = true
		case markOpaque:
			value, err := readAttribute(fd, name)
			if err != nil {
				return a, err
			}
			a.opaque = value == "y"
		case aclAccess:
			if a.access, err = readAttribute(fd, name); err != nil {
				return a, err
			}
		case aclDefault:
			if a.inherited, err = readAttribute(fd, name); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

func readAttribute(fd int, name string) (string, error) {
	buffer := make([]byte, 256)
	n, err := unix.Fgetxattr(fd, name, buffer)
	if err == unix.ERANGE {
		buffer = make([]byte, 64<<10) // XATTR_SIZE_MAX
		n, err = unix.Fgetxattr(fd, name, buffer)
	}
	if err == unix.ENODATA || err == unix.ENOTSUP {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read attribute %s: %w", name, err)
	}
	return string(buffer[:n]), nil
}

// differsIn says in what two entries differ as far as can be told without opening them, "" if in nothing.
func differsIn(e, c *facts) string {
	switch {
	case e.kind() != c.kind():
		return "another type"
	case e.permissions() != c.permissions():
		return "another mode"
	case e.uid != c.uid || e.gid != c.gid:
		return "another owner"
	case e.isRegular() && e.size != c.size:
		return "other content"
	}
	return ""
}

// differsInAttributes goes on with what open files tell.
func differsInAttributes(e, c *attributes) string {
	switch {
	case e.redirect || e.metacopy || e.whiteout:
		return "marked by overlayfs"
	case e.access != c.access:
		return "another ACL"
	case e.inherited != c.inherited:
		return "another default ACL"
	}
	return ""
}

// comparer has the buffers of a comparison.
type comparer struct{ one, other []byte }

// compareFiles compares two regular files of one size to the end; "" means that nothing is different.
func (w *comparer) compareFiles(upper *directory, name string, e *facts, lower *directory, c *facts) (string, error) {
	upperFD, err := upper.openRegular(name, e)
	if err != nil {
		return "", err
	}
	defer unix.Close(upperFD)
	mine, err := readAttributes(upperFD)
	if err != nil {
		return "", err
	}
	lowerFD, err := lower.openRegular(name, c)
	if err != nil {
		return "", fmt.Errorf("default: %w", err)
	}
	defer unix.Close(lowerFD)
	theirs, err := readAttributes(lowerFD)
	if err != nil {
		return "", fmt.Errorf("default: %w", err)
	}
	if why := differsInAttributes(&mine, &theirs); why != "" {
		return why, nil
	}
	if w.one == nil {
		w.one, w.other = make([]byte, 64<<10), make([]byte, 64<<10)
	}
	for rest := e.size; ; {
		n, err := readFull(upperFD, w.one[:min(rest, int64(len(w.one)))])
		if err != nil {
			return "", err
		}
		m, err := readFull(lowerFD, w.other[:min(rest, int64(len(w.other)))])
		if err != nil {
			return "", fmt.Errorf("default: %w", err)
		}
		if !bytes.Equal(w.one[:n], w.other[:m]) {
			return "other content", nil
		}
		if rest -= int64(n); rest == 0 {
			return "", nil
		}
		if n == 0 {
			return "", errChanged // shorter than it was
		}
	}
}

func compareLinks(upper *directory, name string, lower *directory) (string, error) {
	mine, err := upper.readLink(name)
	if err != nil {
		return "", err
	}
	theirs, err := lower.readLink(name)
	if err != nil {
		return "", fmt.Errorf("default: %w", err)
	}
	if mine != theirs {
		return "another target", nil
	}
	return "", nil
}

// isPlainPath reports whether a path is absolute and without "." and "..", repeated slashes and one at its end.
func isPlainPath(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
		return false
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}
