package veritytable

import (
	"fmt"
	"math"
	"math/bits"
)

const sectorSize = 512

// Level is one level of the tree: a run of hash blocks.
type Level struct {
	FirstBlock, Blocks uint64 // in hash blocks from the start of the hash device
}

// Geometry is where the hash tree lies and how a way through it is found.
type Geometry struct {
	DigestSize      int    // bytes
	DigestsPerBlock uint64 // a power of two, at least 8
	// Levels has the leaves, which hold the digests of data blocks, as level 0, and the
	// single top block, whose digest is the root hash, last. It is empty if there is one data
	// block only: the root hash is the digest of that.
	Levels []Level
	// StartBlock is the first block of the tree (the top block), in hash blocks from the start
	// of the hash device.
	StartBlock uint64
	TreeBlocks uint64 // all levels together
}

// Geometry computes the layout of the tree behind the superblock at byte hashOffset of the
// hash device, which must be a multiple of 512. A bare tree starts at the offset, rounded down to
// whole hash blocks. The sizes of devices are not its concern, but
// all products of what it returns and the block sizes fit in 63 bits.
func (s *Superblock) Geometry(hashOffset int64) (*Geometry, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	digestSize, ok := DigestSize(s.Algorithm)
	if !ok {
		return nil, fmt.Errorf("verity hash algorithm %q is not supported", s.Algorithm)
	}
	if hashOffset < 0 || hashOffset%sectorSize != 0 || hashOffset > math.MaxInt64-maxBlockSize-SuperblockSize {
		return nil, fmt.Errorf("verity hash offset %d is not a multiple of %d within 2^63", hashOffset, sectorSize)
	}
	hashBlock := uint64(s.HashBlockSize)
	perBlock := bits.Len64(hashBlock/uint64(digestSize)) - 1 // log2, rounded down
	g := &Geometry{
		DigestSize:      digestSize,
		DigestsPerBlock: 1 << perBlock,
		StartBlock:      (uint64(hashOffset) + SuperblockSize + hashBlock - 1) / hashBlock,
	}
	if s.Bare {
		// Rounded down, as veritysetup does: the offset needs not be a multiple of the block size.
		g.StartBlock = uint64(hashOffset) / hashBlock
	}

	// Level i has one digest for each block of level i-1; the top level is the first of one block.
	// 8 digests a block or more and less than 2^54 blocks bound this to 18 rounds, and
	// the sum to less than 2^54 as well.
	for blocks := s.DataBlocks; blocks > 1; {
		blocks = (blocks-1)>>perBlock + 1
		g.Levels = append(g.Levels, Level{Blocks: blocks})
		g.TreeBlocks += blocks
	}
	next := g.StartBlock
	for i := len(g.Levels) - 1; i >= 0; i-- {
		g.Levels[i].FirstBlock = next
		next += g.Levels[i].Blocks
	}
	if limit := math.MaxInt64 / hashBlock; next > limit {
		return nil, fmt.Errorf("verity hash tree: ends at block %d, at most %d", next, limit)
	}
	return g, nil
}
