package hashtree

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"

	"github.com/preroot/preroot/internal/veritytable"
)

// CheckPath checks data block number block (counted in blocks of s.DataBlockSize from 0) with
// its way through the tree: first the top hash block against the root hash, then each hash block
// on the path against its parent, then the data block.
//
// The superblock lies at byte hashOffset of hash and needs not be trusted: a false one ends
// in an error. A block that does not match is a *MismatchError; other errors are a superblock that
// is not acceptable, a root hash of the wrong length, a block beyond the data, and failed
// reads. One block and a few digests are held in memory, at most 512 KiB.
func CheckPath(s *veritytable.Superblock, hashOffset int64, root []byte, data, hash io.ReaderAt, block uint64) error {
	geometry, err := s.Geometry(hashOffset)
	if err != nil {
		return err
	}
	newHash, ok := NewHash(s.Algorithm)
	if !ok {
		return fmt.Errorf("verity hash algorithm %q is not supported", s.Algorithm)
	}
	if len(root) != geometry.DigestSize {
		return fmt.Errorf("root hash has %d bytes, %s needs %d", len(root), s.Algorithm, geometry.DigestSize)
	}
	if block >= s.DataBlocks {
		return fmt.Errorf("data block %d is not in the tree, which has %d", block, s.DataBlocks)
	}

	w := walk{
		superblock: s,
		hash:       newHash(),
		buffer:     make([]byte, max(s.DataBlockSize, s.HashBlockSize)),
		want:       bytes.Clone(root),
		topLevel:   true,
	}
	perBlock := bits.TrailingZeros64(geometry.DigestsPerBlock) // log2
	slotSize := slotSize(s.HashType, geometry.DigestSize)
	for level := len(geometry.Levels) - 1; level >= 0; level-- {
		// Number of the child on the path, counted within the level below; the leaves'
		// children are the data blocks.
		child := block >> (perBlock * level)
		at := geometry.Levels[level].FirstBlock + child>>perBlock
		content, err := w.checkBlock(hash, level, at, s.HashBlockSize)
		if err != nil {
			return err
		}
		slot := int(child&(geometry.DigestsPerBlock-1)) * slotSize
		w.want = append(w.want[:0], content[slot:slot+geometry.DigestSize]...)
		w.topLevel = false
	}
	_, err = w.checkBlock(data, -1, block, s.DataBlockSize)
	return err
}

// walk is the state on the way from the root hash down to a data block.
type walk struct {
	superblock *veritytable.Superblock
	hash       hash.Hash
	buffer     []byte
	want       []byte // digest of the next block
	topLevel   bool   // want is the root hash
}

// checkBlock reads one block and compares its digest with w.want. The content returned is
// valid until the next call.
func (w *walk) checkBlock(r io.ReaderAt, level int, block uint64, size uint32) ([]byte, error) {
	content := w.buffer[:size]
	offset := int64(block) * int64(size) // Geometry keeps this within 63 bits
	if n, err := r.ReadAt(content, offset); n < len(content) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		kind := "hash"
		if level < 0 {
			kind = "data"
		}
		return nil, fmt.Errorf("read verity %s block %d at byte %d: %w", kind, block, offset, err)
	}
	w.hash.Reset()
	if w.superblock.HashType == 0 { // the salt comes last
		w.hash.Write(content)
		w.hash.Write(w.superblock.Salt)
	} else {
		w.hash.Write(w.superblock.Salt)
		w.hash.Write(content)
	}
	if got := w.hash.Sum(nil); !bytes.Equal(got, w.want) {
		return nil, &MismatchError{
			Level: level, TopLevel: w.topLevel, Block: block, Offset: offset,
			Want: bytes.Clone(w.want), Got: got,
		}
	}
	return content, nil
}

// slotSize is the distance of digests in a hash block: packed in hash type 0, each
// padded to a power of two in type 1. DigestsPerBlock slots fit into a block either way.
func slotSize(hashType uint32, digestSize int) int {
	if hashType == 0 {
		return digestSize
	}
	return 1 << bits.Len(uint(digestSize-1))
}
