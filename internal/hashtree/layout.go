package hashtree

import (
	"fmt"
	"hash"
	"math/bits"

	"github.com/preroot/preroot/internal/veritytable"
)

// layout is what building and checking a tree need to know of it.
type layout struct {
	*veritytable.Geometry
	hashType   uint32
	salt       []byte
	dataBlocks uint64
	dataBlock  int  // bytes
	hashBlock  int  // bytes
	slot       int  // bytes from one digest to the next in a hash block
	shift      uint // log2 of the digests in a hash block
	newHash    func() hash.Hash
}

func newLayout(s *veritytable.Superblock, hashOffset int64) (*layout, error) {
	geometry, err := s.Geometry(hashOffset)
	if err != nil {
		return nil, err
	}
	newHash, ok := NewHash(s.Algorithm)
	if !ok {
		return nil, fmt.Errorf("verity hash algorithm %q is not supported", s.Algorithm)
	}
	return &layout{
		Geometry: geometry, hashType: s.HashType, salt: s.Salt,
		dataBlocks: s.DataBlocks, dataBlock: int(s.DataBlockSize), hashBlock: int(s.HashBlockSize),
		slot:    slotSize(s.HashType, geometry.DigestSize),
		shift:   uint(bits.TrailingZeros64(geometry.DigestsPerBlock)),
		newHash: newHash,
	}, nil
}

// offset of a block of a level on the hash device, in bytes; Geometry keeps it
// within 63 bits.
func (l *layout) offset(level int, block uint64) int64 {
	return int64(l.Levels[level].FirstBlock+block) * int64(l.hashBlock)
}

// digester hashes salted blocks without allocating.
type digester struct {
	hash     hash.Hash
	salt     []byte
	saltLast bool
}

func (l *layout) newDigester() *digester {
	return &digester{hash: l.newHash(), salt: l.salt, saltLast: l.hashType == 0}
}

// appendDigest appends the digest of a block.
func (d *digester) appendDigest(to, block []byte) []byte {
	d.hash.Reset()
	if !d.saltLast {
		d.hash.Write(d.salt)
	}
	d.hash.Write(block)
	if d.saltLast {
		d.hash.Write(d.salt)
	}
	return d.hash.Sum(to)
}
