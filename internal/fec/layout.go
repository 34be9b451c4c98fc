// Package fec is dm-verity's forward error correction: where the parity of data and
// hash blocks lies, how it is made, and how it restores blocks that are damaged
// (Documentation/admin-guide/device-mapper/verity.rst, use_fec_from_device; drivers/md/dm-verity-fec.c).
//
// The blocks that are covered - all data blocks, then the hash device from the start
// of the tree - are seen as 255-roots rows of equal length, one behind the other. A codeword
// is a column: the bytes at one position of all rows, with roots bytes of parity. So
// neighbouring blocks are in different codewords.
//
// What it restores is only likely to be right; hashes tell, and that is the
// caller's to check.
package fec

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/preroot/preroot/internal/reedsolomon"
	"github.com/preroot/preroot/internal/veritytable"
)

// Errors of Compute that veritysetup has sentences for.
var (
	ErrBlockSizes       = errors.New("data and hash blocks differ in size, which error correction cannot have")
	ErrRoots      error = rootsError{}
)

type rootsError struct{}

func (rootsError) Error() string {
	return fmt.Sprintf("parity bytes not within %d to %d", reedsolomon.MinRoots, reedsolomon.MaxRoots)
}

// Layout is where things are.
type Layout struct {
	BlockSize  uint32 // bytes, of data and hash blocks
	DataBlocks uint64
	// HashStart is the first covered block of the hash device, the start of the tree. HashBlocks
	// counts the tree and what lies behind it up to the end of the covered area.
	HashStart, HashBlocks uint64
	Roots                 uint32
	// Rounds is the length of a row in blocks.
	Rounds uint64
	// Offset of the parity on its device, in bytes.
	Offset int64
}

// Compute finds the layout for a tree. Covered is the hash device up to byte hashEnd: its size
// if the parity lies on another device, else fecOffset. fecOffset is in bytes, a
// multiple of 512. Everything in the layout, multiplied, fits in 63 bits.
func Compute(s *veritytable.Superblock, g *veritytable.Geometry, roots uint32, fecOffset, hashEnd int64) (Layout, error) {
	if s.DataBlockSize != s.HashBlockSize {
		return Layout{}, ErrBlockSizes
	}
	if roots < reedsolomon.MinRoots || roots > reedsolomon.MaxRoots {
		return Layout{}, fmt.Errorf("%d %w", roots, ErrRoots)
	}
	if fecOffset < 0 || fecOffset%512 != 0 {
		return Layout{}, fmt.Errorf("error correction offset %d is not a multiple of 512", fecOffset)
	}
	l := Layout{BlockSize: s.DataBlockSize, DataBlocks: s.DataBlocks, HashStart: g.StartBlock, Roots: roots, Offset: fecOffset}
	end := uint64(max(0, hashEnd)) / uint64(l.BlockSize)
	if end < g.StartBlock+g.TreeBlocks && g.TreeBlocks > 0 {
		return Layout{}, fmt.Errorf("hash tree ends at block %d, behind what is covered, which ends at block %d",
			g.StartBlock+g.TreeBlocks, end)
	}
	if end > g.StartBlock {
		l.HashBlocks = end - g.StartBlock
	}
	perCodeword := uint64(reedsolomon.CodewordSize) - uint64(roots)
	l.Rounds = (l.Blocks() + perCodeword - 1) / perCodeword
	if l.Rounds > (math.MaxInt64-uint64(fecOffset))/uint64(l.BlockSize)/reedsolomon.CodewordSize {
		return Layout{}, fmt.Errorf("error correction area for %d blocks is too large", l.Blocks())
	}
	return l, nil
}

// Blocks returns how many blocks are covered.
func (l Layout) Blocks() uint64 { return l.DataBlocks + l.HashBlocks }

// ParityBlocks returns the size of the parity in blocks.
func (l Layout) ParityBlocks() uint64 { return l.Rounds * uint64(l.Roots) }

// Size returns the size of the parity in bytes.
func (l Layout) Size() int64 { return int64(l.ParityBlocks()) * int64(l.BlockSize) }

// rowSize is the length of a row in bytes, which is also the number of codewords.
func (l Layout) rowSize() int64 { return int64(l.Rounds) * int64(l.BlockSize) }

// rows is the number of rows.
func (l Layout) rows() int { return reedsolomon.CodewordSize - int(l.Roots) }

// Devices are where the covered blocks and the parity are. They may be the same one.
type Devices struct {
	Data, Hash, Parity io.ReaderAt
}

// ReadError is a device that could not be read.
type ReadError struct {
	Device string // "data", "hash" or "FEC"
	Offset int64  // bytes
	Err    error
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("read %s device at byte %d: %v", e.Device, e.Offset, e.Err)
}

func (e *ReadError) Unwrap() error { return e.Err }

// readRow fills b from position of a row on; behind the last block there are zeros.
func (l Layout) readRow(d Devices, b []byte, row int, position int64) error {
	at := int64(row)*l.rowSize() + position
	dataEnd := int64(l.DataBlocks) * int64(l.BlockSize)
	end := int64(l.Blocks()) * int64(l.BlockSize)
	if n := min(int64(len(b)), dataEnd-at); n > 0 {
		if err := readFull(d.Data, "data", b[:n], at); err != nil {
			return err
		}
		b, at = b[n:], at+n
	}
	if n := min(int64(len(b)), end-at); n > 0 {
		if err := readFull(d.Hash, "hash", b[:n], at-dataEnd+int64(l.HashStart)*int64(l.BlockSize)); err != nil {
			return err
		}
		b = b[n:]
	}
	clear(b)
	return nil
}

func (l Layout) readParity(d Devices, b []byte, position int64) error {
	return readFull(d.Parity, "FEC", b, l.Offset+position*int64(l.Roots))
}

func readFull(r io.ReaderAt, device string, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &ReadError{Device: device, Offset: offset, Err: err}
}
