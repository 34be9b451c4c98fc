package veritytable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// SuperblockSize is the number of bytes of a superblock on disk.
const SuperblockSize = 512

// Limits of the fields.
const (
	minBlockSize   = 512
	maxBlockSize   = 524288
	maxSalt        = 256
	maxAlgorithm   = 31
	knownVersion   = 1
	maxHashType    = 1
	magic          = "verity\x00\x00"
	offsetAlgo     = 32
	offsetSaltSize = 80
	offsetSalt     = 88
)

// ErrNoSuperblock says that the bytes do not start with the magic of a superblock.
var ErrNoSuperblock = errors.New("no verity superblock")

// Superblock describes a hash tree and the data it covers.
type Superblock struct {
	HashType      uint32   // 1: the salt is hashed first; 0: last, as old Chrome OS has it
	UUID          [16]byte // in text order
	Algorithm     string   // lower case, as the kernel's crypto API spells it: "sha256"
	DataBlockSize uint32   // bytes; a power of two from 512 to 524288
	HashBlockSize uint32   // the same for blocks of the tree
	DataBlocks    uint64   // covered blocks, at least 1
	Salt          []byte   // at most 256 bytes, nil if there is none
}

// ParseSuperblock reads a superblock from the first SuperblockSize bytes of b. It returns
// ErrNoSuperblock if there is none; other errors name the field, its value and the limit.
// What it returns passes the checks of Geometry but for two that need more than the bytes:
// whether the hash algorithm is known, and whether the areas fit (Check).
//
// The format is version 1 of the one described in cryptsetup's wiki (DMVerity); it has no
// checksum, and padding is not looked at.
func ParseSuperblock(b []byte) (*Superblock, error) {
	if len(b) < SuperblockSize {
		return nil, fmt.Errorf("verity superblock: %d bytes, %d are needed", len(b), SuperblockSize)
	}
	if string(b[:len(magic)]) != magic {
		return nil, ErrNoSuperblock
	}
	if version := binary.LittleEndian.Uint32(b[8:]); version != knownVersion {
		return nil, fmt.Errorf("verity superblock: version %d, known is %d", version, knownVersion)
	}
	name := b[offsetAlgo : offsetAlgo+maxAlgorithm+1]
	end := bytes.IndexByte(name, 0)
	if end < 0 {
		return nil, fmt.Errorf("verity superblock: hash algorithm longer than %d letters", maxAlgorithm)
	}
	saltSize := binary.LittleEndian.Uint16(b[offsetSaltSize:])
	if saltSize > maxSalt {
		return nil, fmt.Errorf("verity superblock: salt of %d bytes, at most %d", saltSize, maxSalt)
	}
	s := &Superblock{
		HashType:      binary.LittleEndian.Uint32(b[12:]),
		UUID:          [16]byte(b[16:32]),
		Algorithm:     strings.ToLower(string(name[:end])),
		DataBlockSize: binary.LittleEndian.Uint32(b[64:]),
		HashBlockSize: binary.LittleEndian.Uint32(b[68:]),
		DataBlocks:    binary.LittleEndian.Uint64(b[72:]),
	}
	if saltSize > 0 {
		s.Salt = bytes.Clone(b[offsetSalt : offsetSalt+int(saltSize)])
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// validate checks each field for itself. It is run again where a superblock is used, since
// one can also be built by hand.
func (s *Superblock) validate() error {
	if s.HashType > maxHashType {
		return fmt.Errorf("verity superblock: hash type %d, known are 0 and %d", s.HashType, maxHashType)
	}
	if !isAlgorithmName(s.Algorithm) {
		// A space in it would add words to the table.
		return fmt.Errorf("verity superblock: %.40q is not the name of a hash algorithm", s.Algorithm)
	}
	if !isBlockSize(s.DataBlockSize) {
		return blockSizeError("data", s.DataBlockSize)
	}
	if !isBlockSize(s.HashBlockSize) {
		return blockSizeError("hash", s.HashBlockSize)
	}
	if s.DataBlocks == 0 {
		return errors.New("verity superblock: 0 data blocks, so nothing would be verified")
	}
	if limit := math.MaxInt64 / uint64(s.DataBlockSize); s.DataBlocks > limit {
		return fmt.Errorf("verity superblock: %d data blocks, at most %d", s.DataBlocks, limit)
	}
	if len(s.Salt) > maxSalt {
		return fmt.Errorf("verity superblock: salt of %d bytes, at most %d", len(s.Salt), maxSalt)
	}
	return nil
}

func blockSizeError(which string, size uint32) error {
	return fmt.Errorf("verity superblock: %s block size %d is not a power of 2 from %d to %d",
		which, size, minBlockSize, maxBlockSize)
}

// Check reports whether the data and the tree fit into devices of dataSize and hashSize bytes,
// the superblock being at byte hashOffset of the hash device. Sizes and limits are in bytes
// in the error. That data and tree on one device do not overlap is not checked: blocks
// that are both would just not verify.
func (s *Superblock) Check(dataSize, hashSize, hashOffset int64) error {
	geometry, err := s.Geometry(hashOffset)
	if err != nil {
		return err
	}
	if needed := s.dataBytes(); needed > dataSize {
		return fmt.Errorf("verity data: %d blocks of %d bytes need %d bytes, the device has %d",
			s.DataBlocks, s.DataBlockSize, needed, dataSize)
	}
	needed := hashOffset + SuperblockSize
	if geometry.TreeBlocks > 0 {
		needed = int64(geometry.StartBlock+geometry.TreeBlocks) * int64(s.HashBlockSize)
	}
	if needed > hashSize {
		return fmt.Errorf("verity hash tree: ends at byte %d, the device has %d bytes", needed, hashSize)
	}
	return nil
}

// dataBytes is the size of the covered data; validate has bounded it.
func (s *Superblock) dataBytes() int64 { return int64(s.DataBlocks) * int64(s.DataBlockSize) }

func isBlockSize(size uint32) bool {
	return minBlockSize <= size && size <= maxBlockSize && bits.OnesCount32(size) == 1
}

func isAlgorithmName(name string) bool {
	if name == "" || len(name) > maxAlgorithm {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
