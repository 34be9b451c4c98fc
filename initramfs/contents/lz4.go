package contents

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"
)

// lz4Block is what a block of lz4's legacy format holds at most, in bytes unpacked (lib/decompress_unlz4.c).
const lz4Block = 8 << 20

// lz4Legacy unpacks lz4's legacy format: a magic, then blocks, each with the size of its packed form in front.
type lz4Legacy struct {
	s        *source
	block    []byte // memory for a block
	packed   []byte
	unpacked []byte // what has not been given out yet
	done     bool
}

func openLz4(s *source) (io.Reader, error) {
	if _, err := s.Discard(4); err != nil {
		return nil, err
	}
	return &lz4Legacy{s: s}, nil
}

// Read gives out what was unpacked, and unpacks the next block.
func (l *lz4Legacy) Read(b []byte) (int, error) {
	for len(l.unpacked) == 0 {
		if l.done {
			return 0, io.EOF
		}
		if err := l.readBlock(); err != nil {
			return 0, err
		}
	}
	n := copy(b, l.unpacked)
	l.unpacked = l.unpacked[n:]
	return n, nil
}

// readBlock unpacks a block. The stream ends with the file, with zeros, or where the size can be none, which is
// how another archive looks; lz4 has no mark of its own for that.
func (l *lz4Legacy) readBlock() error {
	head, err := l.s.peek(4)
	if err != nil {
		return err
	}
	if len(head) < 4 {
		l.done = true
		return nil
	}
	size := binary.LittleEndian.Uint32(head)
	if size == 0 || isCpioSize(head) || size > uint32(lz4.CompressBlockBound(lz4Block)) {
		l.done = true
		return nil
	}
	if l.block == nil {
		l.block = make([]byte, lz4Block)
	}
	if _, err := l.s.Discard(4); err != nil {
		return err
	}
	// Grown by what is there, since the size is only what the file claims.
	if l.packed, err = readGrowing(l.s, l.packed[:0], int(size)); err != nil {
		return err
	}
	n, err := lz4.UncompressBlock(l.packed, l.block)
	if err != nil {
		return fmt.Errorf("unpack a block: %w", err)
	}
	l.unpacked = l.block[:n]
	return nil
}

func isCpioSize(head []byte) bool { return string(head) == "0707" }

// readGrowing reads size bytes and takes memory as they come.
func readGrowing(r io.Reader, b []byte, size int) ([]byte, error) {
	for len(b) < size {
		step := min(size-len(b), 1<<16)
		begin := len(b)
		b = append(b, make([]byte, step)...)
		if _, err := io.ReadFull(r, b[begin:]); err != nil {
			return nil, early(err)
		}
	}
	return b, nil
}
