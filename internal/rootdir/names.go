package rootdir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Name is what a directory lists.
type Name struct {
	Text        string
	IsDirectory bool
}

// ReadNames returns the names in a directory, unsorted; none if it is missing.
func (r *Root) ReadNames(inside string) ([]string, error) {
	names, err := r.List(inside, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(names))
	for i := range names {
		texts[i] = names[i].Text
	}
	return texts, nil
}

// List returns what is in a directory, unsorted. flags are more of those of open(2).
func (r *Root) List(inside string, flags int) ([]Name, error) { return r.list(inside, flags, 0) }

// ListPlain does so where no link is on the way; else the error matches ELOOP.
func (r *Root) ListPlain(inside string) ([]Name, error) {
	return r.list(inside, 0, unix.RESOLVE_NO_SYMLINKS)
}

func (r *Root) list(inside string, flags int, resolve uint64) ([]Name, error) {
	fd, err := r.open(inside, unix.O_RDONLY|unix.O_DIRECTORY|flags, resolve)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var names []Name
	buf := make([]byte, 4<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read directory", Path: r.Host(inside), Err: err}
		}
		if n <= 0 {
			return names, nil
		}
		names = appendNames(names, buf[:n], fd)
	}
}

// Where the parts of a struct linux_dirent64 are.
const (
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

// appendNames takes the answer of getdents64(2) apart.
func appendNames(names []Name, records []byte, fd int) []Name {
	for len(records) > direntName {
		length := int(binary.NativeEndian.Uint16(records[direntLength:]))
		if length <= direntName || length > len(records) {
			break
		}
		text := records[direntName:length]
		if end := bytes.IndexByte(text, 0); end >= 0 {
			text = text[:end]
		}
		kind := records[direntType]
		records = records[length:]
		if string(text) == "." || string(text) == ".." {
			continue
		}
		name := Name{Text: string(text), IsDirectory: kind == unix.DT_DIR}
		if kind == unix.DT_UNKNOWN {
			// The file system does not say.
			var st unix.Stat_t
			err := unix.Fstatat(fd, name.Text, &st, unix.AT_SYMLINK_NOFOLLOW)
			name.IsDirectory = err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
		}
		names = append(names, name)
	}
	return names
}
