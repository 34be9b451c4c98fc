// Package contents reads what an initramfs holds, in the way in which the kernel unpacks it
// (init/initramfs.c): cpio archives one after another, each plain or compressed, with zeros between
// them. It believes nothing of what it reads: names, windows and dictionaries are bounded before
// memory is taken, and a file's content is never held as a whole.
package contents

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits of what is read. The kernel's own unpacker has a window of at most 128 MiB, and no initramfs
// of a real machine comes near the other two.
const (
	maxWindow   = 128 << 20 // bytes, of a zstd window or an xz dictionary
	maxUnpacked = 64 << 30  // bytes, of all parts together
	maxEntries  = 4 << 20   // of all parts together
)

// Plain is the Compression of a part that is not compressed.
const Plain = "none"

// Part is one cpio archive that is not compressed, or one compressed stream with the archives in it.
type Part struct {
	Compression string // Plain, or the name of the program that unpacks it
	Offset      int64  // in the file, bytes
	Size        int64  // in the file, bytes, without the zeros behind it
	Unpacked    int64  // bytes of archive
	Entries     int
}

// Entry is one file of an archive. All numbers are the archive's own.
type Entry struct {
	Part                   int    // counted from 0
	Name                   string // as it stands there, never empty
	Mode                   uint32 // type and permissions, as in stat(2)
	UID, GID               uint32
	Links, Inode           uint32
	ModifiedAt             uint32 // seconds since 1970
	Size                   int64  // bytes of content
	DeviceMajor            uint32 // of a device node
	DeviceMinor            uint32
	Target                 string // of a link
	hostMajor, hostMinor   uint32
	nameLength, unusedSums uint32
}

// Walk calls visit for every entry of the initramfs in r, which has size bytes, in the order of the
// file. The content is that of a regular file, and only good during the call; what is left of it is
// passed over. The parts come back as far as they were read, also beside an error.
func Walk(r io.ReaderAt, size int64, visit func(e Entry, content io.Reader) error) ([]Part, error) {
	w := &walker{visit: visit, left: maxUnpacked}
	s := newSource(r, size)
	for {
		if err := s.skipZeros(); err != nil {
			return w.parts, err
		}
		magic, err := s.peek(len(longestMagic))
		if err != nil {
			return w.parts, err
		}
		if len(magic) == 0 {
			break
		}
		if err := w.readPart(s, magic); err != nil {
			return w.parts, err
		}
	}
	if len(w.parts) == 0 {
		return nil, errors.New("it is no initramfs: nothing but zeros")
	}
	return w.parts, nil
}

// walker is one walk through a file.
type walker struct {
	visit   func(e Entry, content io.Reader) error
	parts   []Part
	entries int
	left    int64 // bytes that may still be unpacked
}

// readPart reads the part that begins with magic at the place where s is.
func (w *walker) readPart(s *source, magic []byte) error {
	offset := s.offset()
	number := len(w.parts)
	if isCpio(magic) {
		w.parts = append(w.parts, Part{Compression: Plain, Offset: offset})
		if offset%4 != 0 {
			return fmt.Errorf("part %d: a cpio archive at byte %d, which is no multiple of 4: the kernel does not find it", number+1, offset)
		}
		a := archive{r: s, part: number, walker: w}
		err := a.read(false)
		w.finishPart(s, a.position)
		return describe(err, number, offset, Plain)
	}
	format := formatOf(magic)
	if format == nil {
		if number == 0 {
			return fmt.Errorf("it is no initramfs: it begins with %q, which is neither a cpio archive (newc) nor a known compression", magic)
		}
		return fmt.Errorf("byte %d is behind part %d and begins neither a cpio archive nor a compressed one: %q", offset, number, magic)
	}
	w.parts = append(w.parts, Part{Compression: format.name, Offset: offset})
	unpacked, err := format.open(s)
	if err != nil {
		return describe(err, number, offset, format.name)
	}
	a := archive{r: unpacked, part: number, walker: w}
	err = a.read(true)
	if err == nil {
		// The end of the stream: a checksum may stand there.
		err = expectEnd(unpacked)
	}
	if closer, ok := unpacked.(io.Closer); ok {
		if closing := closer.Close(); err == nil {
			err = closing
		}
	}
	w.finishPart(s, a.position)
	return describe(err, number, offset, format.name)
}

func (w *walker) finishPart(s *source, unpacked int64) {
	p := &w.parts[len(w.parts)-1]
	p.Size, p.Unpacked = s.offset()-p.Offset, unpacked
}

// count notes an entry.
func (w *walker) count() error {
	w.parts[len(w.parts)-1].Entries++
	if w.entries++; w.entries > maxEntries {
		return fmt.Errorf("more than %d entries", maxEntries)
	}
	return nil
}

func describe(err error, number int, offset int64, compression string) error {
	var own *visitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it ends too early")
	}
	if compression == Plain {
		return fmt.Errorf("part %d (cpio at byte %d): %w", number+1, offset, err)
	}
	return fmt.Errorf("part %d (%s at byte %d): %w", number+1, compression, offset, err)
}

// visitError is an error of the caller, which needs no place in the file.
type visitError struct{ err error }

func (e *visitError) Error() string { return e.err.Error() }

func expectEnd(r io.Reader) error {
	var one [1]byte
	n, err := io.ReadFull(r, one[:])
	if n > 0 {
		return errors.New("more than zeros behind the archive")
	}
	if err == io.EOF {
		return nil
	}
	return err
}

func isCpio(magic []byte) bool {
	return bytes.HasPrefix(magic, []byte("070701")) || bytes.HasPrefix(magic, []byte("070702"))
}
