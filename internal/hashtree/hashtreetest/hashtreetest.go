// Package hashtreetest builds small verity hash trees for tests, in memory and without
// hurry. It is not linked into any program.
package hashtreetest

import (
	"encoding/binary"
	"fmt"

	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/veritytable"
)

// Superblock encodes a superblock. Fields are not checked, so that tests can make bad ones; the
// algorithm is cut at 32 bytes and the salt at 256.
func Superblock(s veritytable.Superblock) []byte {
	b := make([]byte, veritytable.SuperblockSize)
	copy(b, "verity\x00\x00")
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint32(b[12:], s.HashType)
	copy(b[16:32], s.UUID[:])
	copy(b[32:64], s.Algorithm)
	binary.LittleEndian.PutUint32(b[64:], s.DataBlockSize)
	binary.LittleEndian.PutUint32(b[68:], s.HashBlockSize)
	binary.LittleEndian.PutUint64(b[72:], s.DataBlocks)
	binary.LittleEndian.PutUint16(b[80:], uint16(len(s.Salt)))
	copy(b[88:88+256], s.Salt)
	return b
}

// Build makes the hash device for data: hashOffset zero bytes, the superblock unless it is bare, the tree. It
// covers s.DataBlocks blocks, which data must have. It panics on what Geometry refuses.
func Build(s veritytable.Superblock, hashOffset int64, data []byte) (device, root []byte) {
	geometry, err := s.Geometry(hashOffset)
	if err != nil {
		panic(fmt.Sprintf("build hash tree: %v", err))
	}
	hashBlock, dataBlock := int(s.HashBlockSize), int(s.DataBlockSize)
	device = make([]byte, (int(geometry.StartBlock)+int(geometry.TreeBlocks))*hashBlock)
	if !s.Bare {
		copy(device[hashOffset:], Superblock(s))
	}

	slot := geometry.DigestSize
	for s.HashType == 1 && slot&(slot-1) != 0 {
		slot++
	}
	perBlock := int(geometry.DigestsPerBlock)
	var digests [][]byte
	for i := range int(s.DataBlocks) {
		digests = append(digests, digest(s, data[i*dataBlock:(i+1)*dataBlock]))
	}
	for _, level := range geometry.Levels {
		area := device[int(level.FirstBlock)*hashBlock:][:int(level.Blocks)*hashBlock]
		for i, d := range digests {
			copy(area[i/perBlock*hashBlock+i%perBlock*slot:], d)
		}
		digests = nil
		for i := range int(level.Blocks) {
			digests = append(digests, digest(s, area[i*hashBlock:(i+1)*hashBlock]))
		}
	}
	return device, digests[0]
}

func digest(s veritytable.Superblock, block []byte) []byte {
	newHash, _ := hashtree.NewHash(s.Algorithm)
	h := newHash()
	if s.HashType == 1 {
		h.Write(s.Salt)
	}
	h.Write(block)
	if s.HashType == 0 {
		h.Write(s.Salt)
	}
	return h.Sum(nil)
}
