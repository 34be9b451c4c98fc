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

// Field is a field of a superblock.
type Field string

// The fields that can be wrong.
const (
	FieldVersion    Field = "version"
	FieldHashType   Field = "hash type"
	FieldAlgorithm  Field = "hash algorithm"
	FieldBlockSize  Field = "block size"
	FieldDataBlocks Field = "data blocks"
	FieldSalt       Field = "salt"
)

// FieldError is a field that is out of its range.
type FieldError struct {
	Field Field
	// Value of a field that is a number.
	Value uint64
	text  string
}

func (e *FieldError) Error() string { return "verity superblock: " + e.text }

func fieldError(field Field, value uint64, format string, values ...any) error {
	return &FieldError{Field: field, Value: value, text: fmt.Sprintf(format, values...)}
}

// Superblock describes a hash tree and the data it covers.
type Superblock struct {
	HashType      uint32   // 1: the salt is hashed first; 0: last, as old Chrome OS has it
	UUID          [16]byte // in text order
	Algorithm     string   // lower case, as the kernel's crypto API spells it: "sha256"
	DataBlockSize uint32   // bytes; a power of two from 512 to 524288
	HashBlockSize uint32   // the same for blocks of the tree
	DataBlocks    uint64   // covered blocks, at least 1
	Salt          []byte   // at most 256 bytes, nil if there is none
	// Bare says that there is no superblock on disk: the values come from whoever made the tree,
	// which starts at the hash offset itself (veritysetup --no-superblock). ParseSuperblock never sets it.
	Bare bool
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
		return nil, fieldError(FieldVersion, uint64(version), "version %d, known is %d", version, knownVersion)
	}
	name := b[offsetAlgo : offsetAlgo+maxAlgorithm+1]
	end := bytes.IndexByte(name, 0)
	if end < 0 {
		return nil, fieldError(FieldAlgorithm, 0, "hash algorithm longer than %d letters", maxAlgorithm)
	}
	saltSize := binary.LittleEndian.Uint16(b[offsetSaltSize:])
	if saltSize > maxSalt {
		return nil, fieldError(FieldSalt, uint64(saltSize), "salt of %d bytes, at most %d", saltSize, maxSalt)
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

// Encode returns the superblock as it stands on disk, SuperblockSize bytes, padding zero. An
// error names a field out of its range. The algorithm is written in lower case, since the kernel
// takes no other.
func (s *Superblock) Encode() ([]byte, error) {
	lowered := *s
	lowered.Algorithm = strings.ToLower(s.Algorithm)
	if err := lowered.validate(); err != nil {
		return nil, err
	}
	b := make([]byte, SuperblockSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], knownVersion)
	binary.LittleEndian.PutUint32(b[12:], s.HashType)
	copy(b[16:32], s.UUID[:])
	copy(b[offsetAlgo:], lowered.Algorithm)
	binary.LittleEndian.PutUint32(b[64:], s.DataBlockSize)
	binary.LittleEndian.PutUint32(b[68:], s.HashBlockSize)
	binary.LittleEndian.PutUint64(b[72:], s.DataBlocks)
	binary.LittleEndian.PutUint16(b[offsetSaltSize:], uint16(len(s.Salt)))
	copy(b[offsetSalt:], s.Salt)
	return b, nil
}

// validate checks each field for itself. It is run again where a superblock is used, since
// one can also be built by hand.
func (s *Superblock) validate() error {
	if s.HashType > maxHashType {
		return fieldError(FieldHashType, uint64(s.HashType), "hash type %d, known are 0 and %d", s.HashType, maxHashType)
	}
	if !isAlgorithmName(s.Algorithm) {
		// A space in it would add words to the table.
		return fieldError(FieldAlgorithm, 0, "%.40q is not the name of a hash algorithm", s.Algorithm)
	}
	if !isBlockSize(s.DataBlockSize) {
		return blockSizeError("data", s.DataBlockSize)
	}
	if !isBlockSize(s.HashBlockSize) {
		return blockSizeError("hash", s.HashBlockSize)
	}
	if s.DataBlocks == 0 {
		return fieldError(FieldDataBlocks, 0, "0 data blocks, so nothing would be verified")
	}
	if limit := math.MaxInt64 / uint64(s.DataBlockSize); s.DataBlocks > limit {
		return fieldError(FieldDataBlocks, s.DataBlocks, "%d data blocks, at most %d", s.DataBlocks, limit)
	}
	if len(s.Salt) > maxSalt {
		return fieldError(FieldSalt, uint64(len(s.Salt)), "salt of %d bytes, at most %d", len(s.Salt), maxSalt)
	}
	return nil
}

func blockSizeError(which string, size uint32) error {
	return fieldError(FieldBlockSize, uint64(size), "%s block size %d is not a power of 2 from %d to %d",
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
	needed := hashOffset
	if !s.Bare {
		needed += SuperblockSize
	}
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
