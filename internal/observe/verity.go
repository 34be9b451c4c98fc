package observe

import (
	"fmt"
	"io"
	"os"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/veritytable"
)

// Verity is what the superblock on a hash device says.
type Verity struct {
	Superblock *veritytable.Superblock
	Geometry   *veritytable.Geometry
}

// ReadVerity reads the superblock at the start of the hash device and checks
// that the areas it describes lie within the devices.
func ReadVerity(data, hash blockdev.Device) (*Verity, error) {
	file, err := os.Open(hash.Node())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	block := make([]byte, veritytable.SuperblockSize)
	if _, err := file.ReadAt(block, 0); err != nil {
		return nil, fmt.Errorf("read verity superblock on %s: %w", hash.Node(), err)
	}
	return checkVerity(block, data, hash)
}

func checkVerity(block []byte, data, hash blockdev.Device) (*Verity, error) {
	s, err := veritytable.ParseSuperblock(block)
	if err == nil {
		err = s.Check(data.Size, hash.Size, 0)
	}
	var g *veritytable.Geometry
	if err == nil {
		g, err = s.Geometry(0)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hash.Node(), err)
	}
	return &Verity{Superblock: s, Geometry: g}, nil
}

// CheckStart checks in user space the top of the hash tree against the root
// hash, and the first, the middle and the last data block with their paths through the tree:
// all that is read through the device before somebody uses it.
func (v *Verity) CheckStart(root []byte, data, hash blockdev.Device) error {
	dataFile, err := os.Open(data.Node())
	if err != nil {
		return err
	}
	defer dataFile.Close()
	hashFile, err := os.Open(hash.Node())
	if err != nil {
		return err
	}
	defer hashFile.Close()
	for _, sample := range CheckSamples(v.Superblock, 0, root, dataFile, hashFile) {
		if sample.Err != nil {
			return sample.Err
		}
	}
	return nil
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
