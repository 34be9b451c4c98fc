package observe

import (
	"fmt"
	"io"
	"os"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/veritytable"
)

// Verity is a hash tree, as the superblock on the hash device says or somebody else who knows.
type Verity struct {
	Superblock *veritytable.Superblock
	Geometry   *veritytable.Geometry
	// HashOffset is where the superblock, or a bare tree, starts on the hash device, in bytes.
	HashOffset int64
}

// ReadVerity reads the superblock at a byte of the hash device and checks that the areas it
// describes lie within the devices. bare, if it is not nil, describes a tree without superblock instead; without
// a number of blocks it covers all of the data device.
func ReadVerity(data, hash blockdev.Device, hashOffset int64, bare *veritytable.Superblock) (*Verity, error) {
	if bare != nil {
		s := *bare
		if s.DataBlocks == 0 && s.DataBlockSize > 0 {
			s.DataBlocks = uint64(data.Size) / uint64(s.DataBlockSize)
		}
		return checkVerity(&s, data, hash, hashOffset)
	}
	file, err := os.Open(hash.Node())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	block := make([]byte, veritytable.SuperblockSize)
	if _, err := file.ReadAt(block, hashOffset); err != nil {
		return nil, fmt.Errorf("read verity superblock at byte %d of %s: %w", hashOffset, hash.Node(), err)
	}
	s, err := veritytable.ParseSuperblock(block)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hash.Node(), err)
	}
	return checkVerity(s, data, hash, hashOffset)
}

func checkVerity(s *veritytable.Superblock, data, hash blockdev.Device, hashOffset int64) (*Verity, error) {
	err := s.Check(data.Size, hash.Size, hashOffset)
	var g *veritytable.Geometry
	if err == nil {
		g, err = s.Geometry(hashOffset)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hash.Node(), err)
	}
	return &Verity{Superblock: s, Geometry: g, HashOffset: hashOffset}, nil
}

// CheckStart checks in user space the top of the hash tree against the root
// hash, and the first, the middle and the last data block with their paths through the tree:
// all that is read through the device before somebody uses it. The error is about the devices.
func (v *Verity) CheckStart(root []byte, data, hash blockdev.Device) ([]Sample, error) {
	dataFile, err := os.Open(data.Node())
	if err != nil {
		return nil, err
	}
	defer dataFile.Close()
	hashFile, err := os.Open(hash.Node())
	if err != nil {
		return nil, err
	}
	defer hashFile.Close()
	return CheckSamples(v.Superblock, v.HashOffset, root, dataFile, hashFile), nil
}

// Sample is a data block that was checked in user space with its way through the tree.
type Sample struct {
	Block uint64 // in data blocks
	// Err is nil if all is as the root hash says, a *hashtree.MismatchError if a block is not, and another
	// error if one could not be read.
	Err error
}

// CheckSamples checks the blocks of SampleBlocks, each by itself. The superblock lies at byte hashOffset
// of hash and needs not be trusted.
func CheckSamples(s *veritytable.Superblock, hashOffset int64, root []byte, data, hash io.ReaderAt) []Sample {
	var samples []Sample
	for _, block := range s.SampleBlocks() {
		samples = append(samples, Sample{block, hashtree.CheckPath(s, hashOffset, root, data, hash, block)})
	}
	return samples
}
