package observe

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/sentinel"
)

// Storage is a block device or an image file with data, a hash tree or parity. It owns a descriptor.
type Storage struct {
	*os.File       // for reading
	Size     int64 // bytes
	// Number is "major:minor" of a device, empty for an image file.
	Number string
}

// ErrNoStorage says that a path leads to what is neither a block device nor a regular file.
const ErrNoStorage = sentinel.Error("neither a block device nor a regular file")

// StorageOf looks at a device or image file that is open for reading, and takes it over. The error
// matches ErrNoStorage for anything else.
func StorageOf(file *os.File) (*Storage, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: file.Name(), Err: err}
	}
	s := &Storage{File: file}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFBLK:
		s.Number = fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	default:
		return nil, &os.PathError{Op: "use", Path: file.Name(), Err: ErrNoStorage}
	}
	var err error
	s.Size, err = file.Seek(0, io.SeekEnd)
	return s, err
}

// Is reports whether both are the same device, or the same file.
func (s *Storage) Is(other *Storage) bool {
	if s.Number != "" || other.Number != "" {
		return s.Number == other.Number
	}
	one, err := s.Stat()
	if err != nil {
		return false
	}
	two, err := other.Stat()
	return err == nil && os.SameFile(one, two)
}

// IsInUse reports whether somebody has the device for himself: a mount, another mapping. An image
// file is never in use in this sense.
func (s *Storage) IsInUse() (bool, error) {
	if s.Number == "" {
		return false, nil
	}
	fd, err := unix.Open(s.Name(), unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.EBUSY) {
		return true, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "open exclusively", Path: s.Name(), Err: err}
	}
	return false, unix.Close(fd)
}
