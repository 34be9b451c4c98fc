package etcrules

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// apply does what was planned, and notes what failed.
func (r *Rules) apply(actions []Action) {
	r.parent.close()
	for i := range actions {
		a := &actions[i]
		if err := r.applyOne(a); err != nil {
			a.Error = err.Error()
		}
	}
	r.parent.close()
}

func (r *Rules) applyOne(a *Action) error {
	d, err := r.parentDirectory(a.Path)
	if err != nil {
		if err == unix.ENOENT && (a.Do == Remove || a.Do == RemoveTree || a.Do == MoveAside) {
			return nil
		}
		return err
	}
	name := baseOf(a.Path)
	switch a.Do {
	case Remove, RemoveTree, MoveAside, SetOwner:
		now, err := d.stat(name)
		if err == unix.ENOENT && a.Do != SetOwner {
			return nil // it is what was wanted
		}
		if err != nil {
			return err
		}
		if now.mount != d.mount {
			return errElsewhere
		}
		if !now.isSame(&a.seen) {
			return errChanged
		}
	}
	switch a.Do {
	case Remove:
		return r.remove(d, name, a)
	case RemoveTree:
		return removeTree(d, name, a.Path, a.keeps, 0)
	case MoveAside:
		return r.moveAside(d, name, a.text)
	case SetOwner:
		return setOwner(d, name, a)
	case CreateDirectory:
		if err := unix.Mkdirat(d.fd, name, 0o700); err != nil {
			return err
		}
		return setOwner(d, name, a)
	case CreateLink:
		if err := unix.Symlinkat(a.text, d.fd, name); err != nil {
			return err
		}
		return unix.Fchownat(d.fd, name, a.uid, a.gid, unix.AT_SYMLINK_NOFOLLOW)
	case CreateFile:
		return r.replace(d, name, a.text, nil, a)
	case AppendLines:
		return r.appendLines(d, name, a)
	case CopyTree:
		return r.copyShipped(d, name, a)
	}
	return fmt.Errorf("%q is not known", a.Do)
}

func (r *Rules) remove(d *directory, name string, a *Action) error {
	if a.last {
		// All that came before is on the disk before the reason for it goes.
		if err := unix.Syncfs(d.fd); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
	}
	if !a.seen.isDirectory() {
		return unix.Unlinkat(d.fd, name, 0)
	}
	err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
	if err == unix.ENOTEMPTY {
		// Something in it could not be removed, which was said there.
		return nil
	}
	return err
}

// setOwner sets the owner first: that clears bits of the mode.
func setOwner(d *directory, name string, a *Action) error {
	if a.uid >= 0 || a.gid >= 0 {
		if err := unix.Fchownat(d.fd, name, a.uid, a.gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	if a.hasMode {
		if err := unix.Fchmodat(d.fd, name, a.mode, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
	}
	return nil
}

func (r *Rules) appendLines(d *directory, name string, a *Action) error {
	now, err := d.stat(name)
	if err == unix.ENOENT {
		return r.replace(d, name, a.text, nil, a)
	}
	if err == nil && !(now.isRegular() && now.isSame(&a.seen)) {
		err = errChanged
	}
	if err != nil {
		return err
	}
	text, err := r.readFile(a.Path, &now, maxList)
	if err != nil {
		return err
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return r.replace(d, name, text+a.text, &now, a)
}

// replace writes a file as a whole: after a power cut there is the old one or the new one. It gets what old has besides its
// content; else, without old, what the action says.
func (r *Rules) replace(d *directory, name, text string, old *facts, a *Action) error {
	newName := temporary + name
	if err := unix.Unlinkat(d.fd, newName, 0); err != nil && err != unix.ENOENT {
		return err
	}
	fd, err := unix.Openat(d.fd, newName, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = writeAll(fd, text)
	if err == nil && old == nil {
		err = setOwner(d, newName, a)
	} else if err == nil {
		err = copyMetadata(d, name, fd, old)
	}
	if err == nil {
		err = unix.Fsync(fd)
	}
	if err == nil && old == nil {
		// Nobody else may have made one.
		err = unix.Renameat2(d.fd, newName, d.fd, name, unix.RENAME_NOREPLACE)
	} else if err == nil {
		err = unix.Renameat(d.fd, newName, d.fd, name)
	}
	if err != nil {
		_ = unix.Unlinkat(d.fd, newName, 0)
		return err
	}
	return unix.Fsync(d.fd)
}

func writeAll(fd int, text string) error {
	for data := []byte(text); len(data) > 0; {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// copyMetadata gives an open file the owner, the attributes with the ACL, and the mode of a file.
func copyMetadata(d *directory, name string, fd int, old *facts) error {
	from, err := d.openRegular(name, old)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	if err := unix.Fchown(fd, int(old.uid), int(old.gid)); err != nil {
		return err
	}
	list := make([]byte, 64<<10)
	n, err := unix.Flistxattr(from, list)
	if err != nil && err != unix.ENOTSUP {
		return err
	}
	for attribute := range strings.SplitSeq(strings.TrimSuffix(string(list[:max(n, 0)]), "\x00"), "\x00") {
		if attribute == "" {
			continue
		}
		if attribute == markMetacopy {
			return errors.New("its content is not in it (overlayfs metacopy)")
		}
		value, err := readAttribute(from, attribute)
		if err == nil {
			err = unix.Fsetxattr(fd, attribute, []byte(value), 0)
		}
		if err != nil {
			return fmt.Errorf("copy attribute %s: %w", attribute, err)
		}
	}
	return unix.Fchmod(fd, old.permissions())
}

// copyShipped copies a file, link or directory from below /usr. It appears as a whole.
func (r *Rules) copyShipped(d *directory, name string, a *Action) error {
	parentFD, err := r.openShipped(parentOf(a.source), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("open %s: %w", a.source, err)
	}
	defer unix.Close(parentFD)
	from, err := openDirectory(parentFD, ".", inside)
	if err != nil {
		return fmt.Errorf("open %s: %w", a.source, err)
	}
	defer from.close()
	newName := temporary + name
	// What an interrupted run left.
	if f, err := d.stat(newName); err == nil && f.isDirectory() {
		err = removeTree(d, newName, newName, nil, 0)
		if err != nil {
			return err
		}
	} else if err == nil {
		if err := unix.Unlinkat(d.fd, newName, 0); err != nil {
			return err
		}
	}
	if err := copyEntry(from, baseOf(a.source), d, newName, 0); err != nil {
		return err
	}
	if err := setOwner(d, newName, a); err != nil {
		return err
	}
	if err := unix.Syncfs(d.fd); err != nil {
		return err
	}
	return unix.Renameat2(d.fd, newName, d.fd, name, unix.RENAME_NOREPLACE)
}

func copyEntry(from *directory, name string, to *directory, newName string, depth int) error {
	f, err := from.stat(name)
	if err != nil {
		return err
	}
	a := Action{mode: f.permissions(), hasMode: true, uid: int(f.uid), gid: int(f.gid)}
	switch f.kind() {
	case unix.S_IFLNK:
		target, err := from.readLink(name)
		if err == nil {
			err = unix.Symlinkat(target, to.fd, newName)
		}
		if err != nil {
			return err
		}
		return unix.Fchownat(to.fd, newName, a.uid, a.gid, unix.AT_SYMLINK_NOFOLLOW)
	case unix.S_IFREG:
		return copyRegular(from, name, &f, to, newName, &a)
	case unix.S_IFDIR:
		if depth > maxDepth {
			return errors.New("too many directories in one another")
		}
		below, err := from.open(name)
		if err != nil {
			return err
		}
		defer below.close()
		if err := unix.Mkdirat(to.fd, newName, 0o700); err != nil {
			return err
		}
		target, err := to.open(newName)
		if err != nil {
			return err
		}
		defer target.close()
		names, err := below.names()
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := copyEntry(below, name, target, name, depth+1); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
		return setOwner(to, newName, &a)
	}
	return fmt.Errorf("%q is neither a file, a directory nor a link", name)
}

func copyRegular(from *directory, name string, f *facts, to *directory, newName string, a *Action) error {
	in, err := from.openRegular(name, f)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	out, err := unix.Openat(to.fd, newName, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	buffer := make([]byte, 64<<10)
	for {
		n, err := readFull(in, buffer)
		if err == nil {
			err = writeAll(out, string(buffer[:n]))
		}
		if err != nil {
			return err
		}
		if n < len(buffer) {
			return setOwner(to, newName, a)
		}
	}
}
