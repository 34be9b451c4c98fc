package verity

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/preroot/preroot/internal/fec"
	"github.com/preroot/preroot/internal/veritytable"
)

const (
	maxSalt         = 256 // bytes
	defaultSaltSize = 32
	sector          = 512
)

// invalidHeader is what the original says when it reads no superblock that it takes;
// before it may stand what is wrong with it.
func invalidHeader(name, reason string, cause error) error {
	lines := "Device " + name + " is not a valid VERITY device."
	if reason != "" {
		lines = reason + "\n" + lines
	}
	return &failure{code: exitParameters, lines: lines, cause: cause}
}

// readSuperblock reads the superblock of a tree at the hash offset.
func (s *session) readSuperblock(hash *device) (*veritytable.Superblock, error) {
	name := hash.Name()
	if s.hashOffset%sector != 0 {
		return nil, invalidHeader(name, "Unsupported VERITY hash offset.", nil)
	}
	if s.hashOffset > math.MaxInt64 {
		return nil, invalidHeader(name, "", errors.New("hash offset beyond 2^63"))
	}
	b := make([]byte, veritytable.SuperblockSize)
	if n, err := hash.ReadAt(b, int64(s.hashOffset)); n < len(b) {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s ends at byte %d, the superblock would end at %d", name, hash.size, s.hashOffset+uint64(len(b)))
		}
		return nil, invalidHeader(name, "", err)
	}
	s.debugf("Reading VERITY header of size %d on device %s, offset %d.", len(b), name, s.hashOffset)
	superblock, err := veritytable.ParseSuperblock(b)
	if err == nil {
		if _, known := veritytable.DigestSize(superblock.Algorithm); !known {
			return nil, invalidHeader(name, "Hash algorithm "+superblock.Algorithm+" not supported.", nil)
		}
		return superblock, nil
	}
	if errors.Is(err, veritytable.ErrNoSuperblock) {
		return nil, invalidHeader(name, "", nil)
	}
	return nil, invalidHeader(name, headerReason(b, err), err)
}

// headerReason is the original's sentence about a superblock that cannot be used.
func headerReason(b []byte, err error) string {
	var field *veritytable.FieldError
	if !errors.As(err, &field) {
		return ""
	}
	switch field.Field {
	case veritytable.FieldVersion:
		return fmt.Sprintf("Unsupported VERITY version %d.", field.Value)
	case veritytable.FieldHashType:
		return fmt.Sprintf("Unsupported VERITY hash type %d.", field.Value)
	case veritytable.FieldBlockSize:
		return "Unsupported VERITY block size."
	case veritytable.FieldSalt:
		return "VERITY header corrupted."
	case veritytable.FieldDataBlocks:
		// The original takes 0 and verifies nothing.
		return fmt.Sprintf("Unsupported number of VERITY data blocks %d.", field.Value)
	case veritytable.FieldAlgorithm:
		name, _, _ := strings.Cut(string(b[32:64]), "\x00")
		return "Hash algorithm " + printable(name) + " not supported."
	}
	return ""
}

// printable keeps what comes from a disk from doing things to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}

// parameters makes the description of a tree from the options, for format and for trees
// without a superblock. The number of data blocks is still 0 if it was not typed.
func (s *session) parameters() (*veritytable.Superblock, error) {
	salt, err := s.parseSalt()
	if err != nil {
		return nil, err
	}
	if s.format > 1 {
		return nil, failf("Unsupported VERITY hash type %d.", s.format)
	}
	for _, size := range []uint32{s.dataBlockSize, s.hashBlockSize} {
		if size < sector || size > 1024*sector || size&(size-1) != 0 {
			return nil, fail(exitParameters, "Unsupported VERITY block size.")
		}
	}
	if s.hashOffset%sector != 0 {
		return nil, fail(exitParameters, "Unsupported VERITY hash offset.")
	}
	if s.fecOffset%sector != 0 {
		return nil, fail(exitParameters, "Unsupported VERITY FEC offset.")
	}
	return &veritytable.Superblock{
		HashType: s.format, Algorithm: strings.ToLower(s.hash), DataBlockSize: s.dataBlockSize, HashBlockSize: s.hashBlockSize,
		DataBlocks: s.dataBlocks, Salt: salt, Bare: s.noSuperblock,
	}, nil
}

func (s *session) checkAlgorithm() error {
	if _, ok := veritytable.DigestSize(s.hash); !ok {
		return failf("Hash algorithm %s not supported.", printable(s.hash))
	}
	return nil
}

// parseSalt reads --salt; without it, only format has one, at random.
func (s *session) parseSalt() ([]byte, error) {
	switch {
	case !s.saltGiven && s.action == "format":
		salt := make([]byte, defaultSaltSize)
		_, _ = rand.Read(salt) // never fails
		return salt, nil
	case !s.saltGiven, s.salt == "", s.salt == "-":
		return nil, nil
	}
	salt, err := hex.DecodeString(s.salt)
	if err != nil {
		return nil, fail(exitParameters, "Invalid salt string specified.")
	}
	if len(salt) > maxSalt {
		// The original says nothing at all.
		return nil, failf("Salt of %d bytes is too long, at most %d.", len(salt), maxSalt)
	}
	return salt, nil
}

// readTree finds out about the tree of verify and open: from the superblock, or from the
// options if there is none. The number of data blocks is that of the data device then.
func (s *session) readTree(hash, data *device) (*veritytable.Superblock, error) {
	if !s.noSuperblock {
		return s.readSuperblock(hash)
	}
	superblock, err := s.parameters()
	if err == nil {
		err = s.checkAlgorithm()
	}
	if err != nil {
		return nil, err
	}
	if superblock.DataBlocks == 0 {
		superblock.DataBlocks = uint64(data.size) / uint64(superblock.DataBlockSize)
	}
	return superblock, nil
}

// geometry is Superblock.Geometry with the original's messages.
func (s *session) geometry(superblock *veritytable.Superblock) (*veritytable.Geometry, error) {
	if superblock.DataBlocks == 0 {
		return nil, fail(exitParameters, "Hash area overflow.")
	}
	if superblock.DataBlocks > math.MaxInt64/uint64(superblock.DataBlockSize) || s.hashOffset > math.MaxInt64 {
		return nil, fail(exitParameters, "Device offset overflow.")
	}
	g, err := superblock.Geometry(int64(s.hashOffset))
	if err != nil {
		return nil, &failure{code: exitParameters, lines: "Hash area overflow.", cause: err}
	}
	if superblock.Bare && s.hashOffset%uint64(superblock.HashBlockSize) != 0 {
		s.explain(fmt.Sprintf("hash offset %d is not a multiple of the hash block size, the tree starts at byte %d",
			s.hashOffset, g.StartBlock*uint64(superblock.HashBlockSize)))
	}
	return g, nil
}

// fecLayout is fec.Compute with the original's messages, which it prints twice.
func (s *session) fecLayout(superblock *veritytable.Superblock, g *veritytable.Geometry, hashEnd int64) (fec.Layout, error) {
	if s.fecOffset > math.MaxInt64 {
		return fec.Layout{}, fail(exitParameters, "Device offset overflow.")
	}
	l, err := fec.Compute(superblock, g, s.fecRoots, int64(s.fecOffset), hashEnd)
	line := "Device offset overflow."
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, fec.ErrBlockSizes):
		line = "Block sizes must match for FEC.\nBlock sizes must match for FEC."
	case errors.Is(err, fec.ErrRoots):
		line = "Invalid number of parity bytes.\nInvalid number of parity bytes."
	}
	return l, &failure{code: exitParameters, lines: line, cause: err}
}

// closeAll closes devices that were only read.
func closeAll(devices ...*device) {
	for _, d := range devices {
		if d != nil {
			_ = d.Close()
		}
	}
}

// pageSize is the largest data block that the kernel takes.
func pageSize() int { return os.Getpagesize() }
