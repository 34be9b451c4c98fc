package contents

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Of the format "newc" (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).
const (
	headerSize = 110
	maxName    = 4096 // PATH_MAX, with the NUL at the end
	trailer    = "TRAILER!!!"

	modeType = 0o170000
	modeFile = 0o100000
	modeLink = 0o120000
)

// archive is one run of entries.
type archive struct {
	r        io.Reader
	part     int
	walker   *walker
	position int64 // bytes taken from r
	header   [headerSize]byte
}

// read reads entries. In a compressed stream it goes on to the end, over zeros and further archives;
// in the file itself it stops behind the end mark, or where something else begins.
func (a *archive) read(compressed bool) error {
	for {
		var err error
		var done bool
		if compressed {
			done, err = a.skipZeros()
		} else if a.position > 0 {
			done, err = a.atOther()
		} else {
			err = a.fill(a.header[:1])
		}
		if done || err != nil {
			return err
		}
		if err := a.fill(a.header[1:]); err != nil {
			return err
		}
		e, err := a.readEntry()
		if err != nil {
			return err
		}
		if e.Name == trailer {
			if !compressed {
				return nil
			}
			continue
		}
		if err := a.visitEntry(e); err != nil {
			return err
		}
	}
}

// skipZeros takes the first byte of the next header; done is the end of the stream.
func (a *archive) skipZeros() (done bool, err error) {
	for {
		err := a.fill(a.header[:1])
		if err == io.EOF {
			return true, nil
		}
		if err != nil || a.header[0] != 0 {
			return false, err
		}
	}
}

// atOther takes the first byte of the next header unless that is none: what comes then is another part.
func (a *archive) atOther() (done bool, err error) {
	s := a.r.(*source)
	next, err := s.peek(1)
	if err != nil || len(next) == 0 || next[0] != '0' {
		return true, err
	}
	return false, a.fill(a.header[:1])
}

// fill reads len(b) bytes; io.EOF only when there was none at all.
func (a *archive) fill(b []byte) error {
	if a.walker.left -= int64(len(b)); a.walker.left < 0 {
		return fmt.Errorf("more than %d bytes unpacked", int64(maxUnpacked))
	}
	n, err := io.ReadFull(a.r, b)
	a.position += int64(n)
	return err
}

// readEntry reads the rest of an entry's head, and the target of a link.
func (a *archive) readEntry() (e Entry, err error) {
	start := a.position - headerSize
	if !isCpio(a.header[:]) {
		return e, fmt.Errorf("no cpio header at byte %d of the archive, but %q", start, a.header[:6])
	}
	if start%4 != 0 {
		return e, fmt.Errorf("a cpio header at byte %d of the archive, which is no multiple of 4", start)
	}
	if e, err = parseHeader(a.header[:]); err != nil {
		return e, fmt.Errorf("cpio header at byte %d of the archive: %w", start, err)
	}
	e.Part = a.part
	if e.nameLength == 0 || e.nameLength > maxName {
		return e, fmt.Errorf("cpio header at byte %d of the archive: a name of %d bytes", start, e.nameLength)
	}
	name := make([]byte, e.nameLength)
	if err := a.fill(name); err != nil {
		return e, early(err)
	}
	// Names may be filled up with NULs, so that what follows is aligned: microcode has to be.
	e.Name, _, _ = strings.Cut(string(name), "\x00")
	if e.Name == "" {
		return e, fmt.Errorf("cpio header at byte %d of the archive: an empty name", start)
	}
	if err := a.skipPadding(); err != nil {
		return e, err
	}
	if e.Mode&modeType == modeLink {
		if e.Size == 0 || e.Size >= maxName {
			return e, fmt.Errorf("%q is a link with a target of %d bytes", e.Name, e.Size)
		}
		target := make([]byte, e.Size)
		if err := a.fill(target); err != nil {
			return e, early(err)
		}
		e.Target = string(target)
	}
	return e, nil
}

// parseHeader reads the thirteen numbers behind the magic.
func parseHeader(header []byte) (e Entry, err error) {
	var numbers [13]uint32
	for i := range numbers {
		var b [4]byte
		if _, err := hex.Decode(b[:], header[6+8*i:14+8*i]); err != nil {
			return e, fmt.Errorf("%q is no number", header[6+8*i:14+8*i])
		}
		numbers[i] = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	return Entry{
		Inode: numbers[0], Mode: numbers[1], UID: numbers[2], GID: numbers[3], Links: numbers[4],
		ModifiedAt: numbers[5], Size: int64(numbers[6]), hostMajor: numbers[7], hostMinor: numbers[8],
		DeviceMajor: numbers[9], DeviceMinor: numbers[10], nameLength: numbers[11], unusedSums: numbers[12],
	}, nil
}

// visitEntry shows an entry with its content, and passes over what is left of that.
func (a *archive) visitEntry(e Entry) error {
	if err := a.walker.count(); err != nil {
		return err
	}
	size := e.Size
	if e.Target != "" {
		size = 0
	}
	content := &entryContent{archive: a, left: size}
	var shown io.Reader = content
	if e.Mode&modeType != modeFile {
		shown = strings.NewReader("")
	}
	if err := a.walker.visit(e, shown); err != nil {
		if content.err != nil {
			return content.err
		}
		return &visitError{err}
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	return a.skipPadding()
}

// entryContent is the content of one entry.
type entryContent struct {
	archive *archive
	left    int64
	err     error
}

func (c *entryContent) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if c.err != nil {
		return 0, c.err
	}
	b = b[:min(int64(len(b)), c.left, 1<<20)]
	if err := c.archive.fill(b); err != nil {
		c.err = early(err)
		return 0, c.err
	}
	c.left -= int64(len(b))
	return len(b), nil
}

func (a *archive) skipPadding() error {
	var padding [3]byte
	if err := a.fill(padding[:-a.position&3]); err != nil {
		return early(err)
	}
	return nil
}

func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
