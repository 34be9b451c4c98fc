package veritytable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// sampleSuperblock is what veritysetup 2.8.8 writes for 1 MiB of data, field by field.
func sampleSuperblock() []byte {
	b := make([]byte, SuperblockSize)
	copy(b, "verity\x00\x00")
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint32(b[12:], 1)
	copy(b[16:], []byte{0x8f, 0x3c, 0x1d, 0x2e, 0x0b, 0x4a, 0x4c, 0x5d, 0x9e, 0x6f, 0x7a, 0x8b, 0x9c, 0x0d, 0x1e, 0x2f})
	copy(b[32:], "sha256")
	binary.LittleEndian.PutUint32(b[64:], 4096)
	binary.LittleEndian.PutUint32(b[68:], 4096)
	binary.LittleEndian.PutUint64(b[72:], 256)
	binary.LittleEndian.PutUint16(b[80:], 4)
	copy(b[88:], []byte{0xde, 0xad, 0xbe, 0xef})
	return b
}

func sample() Superblock {
	return Superblock{
		HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 256,
		UUID: [16]byte{0x8f, 0x3c, 0x1d, 0x2e, 0x0b, 0x4a, 0x4c, 0x5d, 0x9e, 0x6f, 0x7a, 0x8b, 0x9c, 0x0d, 0x1e, 0x2f},
		Salt: []byte{0xde, 0xad, 0xbe, 0xef},
	}
}

func TestParseSuperblock(t *testing.T) {
	want := sample()
	got, err := ParseSuperblock(sampleSuperblock())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

func TestParseSuperblockAccepts(t *testing.T) {
	for name, test := range map[string]struct {
		change func(b []byte)
		check  func(s *Superblock) bool
	}{
		"upper case algorithm": {func(b []byte) { copy(b[32:], "SHA256") }, func(s *Superblock) bool { return s.Algorithm == "sha256" }},
		"unknown algorithm":    {func(b []byte) { copy(b[32:], "sha3-256") }, func(s *Superblock) bool { return s.Algorithm == "sha3-256" }},
		"longest algorithm":    {func(b []byte) { copy(b[32:], strings.Repeat("a", 31)) }, func(s *Superblock) bool { return len(s.Algorithm) == 31 }},
		"no salt":              {func(b []byte) { b[80] = 0 }, func(s *Superblock) bool { return s.Salt == nil }},
		"largest salt":         {func(b []byte) { b[80], b[81] = 0, 1; b[88+255] = 7 }, func(s *Superblock) bool { return len(s.Salt) == 256 && s.Salt[255] == 7 }},
		"type 0":               {func(b []byte) { b[12] = 0 }, func(s *Superblock) bool { return s.HashType == 0 }},
		"smallest blocks":      {func(b []byte) { put(b, 64, 512); put(b, 68, 512) }, func(s *Superblock) bool { return s.DataBlockSize == 512 && s.HashBlockSize == 512 }},
		"largest blocks":       {func(b []byte) { put(b, 64, 524288); put(b, 68, 524288) }, func(s *Superblock) bool { return s.DataBlockSize == 524288 }},
		"one block":            {func(b []byte) { binary.LittleEndian.PutUint64(b[72:], 1) }, func(s *Superblock) bool { return s.DataBlocks == 1 }},
		"most blocks":          {func(b []byte) { binary.LittleEndian.PutUint64(b[72:], 1<<51-1) }, func(s *Superblock) bool { return s.DataBlocks == 1<<51-1 }},
		"padding":              {func(b []byte) { b[84], b[511] = 1, 1 }, func(s *Superblock) bool { return true }},
		"bytes after the name": {func(b []byte) { b[40] = 'x' }, func(s *Superblock) bool { return s.Algorithm == "sha256" }},
	} {
		t.Run(name, func(t *testing.T) {
			b := sampleSuperblock()
			test.change(b)
			s, err := ParseSuperblock(b)
			if err != nil {
				t.Fatal(err)
			}
			if !test.check(s) {
				t.Errorf("wrong result %+v", s)
			}
		})
	}
}

func put(b []byte, offset int, value uint32) { binary.LittleEndian.PutUint32(b[offset:], value) }

func TestParseSuperblockRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(b []byte)
		want   string
	}{
		"version 0":           {func(b []byte) { put(b, 8, 0) }, "version 0, known is 1"},
		"version 2":           {func(b []byte) { put(b, 8, 2) }, "version 2, known is 1"},
		"hash type":           {func(b []byte) { put(b, 12, 2) }, "hash type 2, known are 0 and 1"},
		"algorithm not ended": {func(b []byte) { copy(b[32:], strings.Repeat("a", 32)) }, "longer than 31"},
		"no algorithm":        {func(b []byte) { b[32] = 0 }, `"" is not the name`},
		"words in algorithm":  {func(b []byte) { copy(b[32:], "sha256 x") }, `"sha256 x" is not the name`},
		"quote in algorithm":  {func(b []byte) { copy(b[32:], "sha256\\") }, `is not the name`},
		"escape in name":      {func(b []byte) { copy(b[32:], "\x1b[2J\x00") }, `"\x1b[2j" is not the name`},
		"data block 0":        {func(b []byte) { put(b, 64, 0) }, "data block size 0 is not a power of 2 from 512 to 524288"},
		"data block 256":      {func(b []byte) { put(b, 64, 256) }, "data block size 256"},
		"data block 4097":     {func(b []byte) { put(b, 64, 4097) }, "data block size 4097"},
		"data block 2^20":     {func(b []byte) { put(b, 64, 1<<20) }, "data block size 1048576"},
		"hash block 0":        {func(b []byte) { put(b, 68, 0) }, "hash block size 0"},
		"hash block 2^31":     {func(b []byte) { put(b, 68, 1<<31) }, "hash block size 2147483648"},
		"no data":             {func(b []byte) { clear(b[72:80]) }, "0 data blocks"},
		"too much data":       {func(b []byte) { binary.LittleEndian.PutUint64(b[72:], 1<<51) }, "2251799813685248 data blocks, at most 2251799813685247"},
		"data overflow":       {func(b []byte) { binary.LittleEndian.PutUint64(b[72:], math.MaxUint64) }, "18446744073709551615 data blocks"},
		"salt":                {func(b []byte) { b[80], b[81] = 1, 1 }, "salt of 257 bytes, at most 256"},
		"largest salt size":   {func(b []byte) { b[80], b[81] = 255, 255 }, "salt of 65535 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			b := sampleSuperblock()
			test.change(b)
			s, err := ParseSuperblock(b)
			if err == nil {
				t.Fatalf("accepted: %+v", s)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if errors.Is(err, ErrNoSuperblock) {
				t.Error("a damaged superblock is taken for none")
			}
		})
	}
}

func TestParseSuperblockFindsNone(t *testing.T) {
	b := sampleSuperblock()
	b[7] = 1
	if _, err := ParseSuperblock(b); !errors.Is(err, ErrNoSuperblock) {
		t.Errorf("wrong magic: %v", err)
	}
	if _, err := ParseSuperblock(make([]byte, SuperblockSize)); !errors.Is(err, ErrNoSuperblock) {
		t.Errorf("zeros: %v", err)
	}
	if _, err := ParseSuperblock(sampleSuperblock()[:511]); err == nil || !strings.Contains(err.Error(), "511 bytes") {
		t.Errorf("short: %v", err)
	}
}

func TestParseSuperblockKeepsNothingOfItsInput(t *testing.T) {
	b := sampleSuperblock()
	s, err := ParseSuperblock(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !bytes.Equal(s.Salt, []byte{0xde, 0xad, 0xbe, 0xef}) {
		t.Error("the salt changes with the buffer it was read from")
	}
}

func TestCheck(t *testing.T) {
	// 256 blocks: a tree of 1 + 2 blocks behind the superblock's.
	const data, hash = 256 * 4096, 4 * 4096
	for name, test := range map[string]struct {
		blocks                     uint64
		dataSize, hashSize, offset int64
		want                       string // empty: fits
	}{
		"exact":              {256, data, hash, 0, ""},
		"larger":             {256, data + 1, hash + 1, 0, ""},
		"data short":         {256, data - 1, hash, 0, "256 blocks of 4096 bytes need 1048576 bytes, the device has 1048575"},
		"tree short":         {256, data, hash - 1, 0, "ends at byte 16384, the device has 16383 bytes"},
		"with offset":        {256, data + hash, data + hash, data, ""},
		"offset short":       {256, data + hash, data + hash - 1, data, "ends at byte 1064960"},
		"offset in a block":  {256, data, hash + 4096, 512, ""},
		"next block":         {256, data, hash, 4096, "ends at byte 20480"},
		"no tree":            {1, 4096, 512, 0, ""},
		"no tree, no room":   {1, 4096, 511, 0, "ends at byte 512"},
		"negative offset":    {256, data, hash, -512, "hash offset -512"},
		"odd offset":         {256, data, hash, 100, "hash offset 100 is not a multiple of 512"},
		"huge offset":        {256, data, hash, math.MaxInt64 &^ 511, "hash offset 9223372036854775296"},
		"absurd data blocks": {1<<51 - 1, math.MaxInt64, math.MaxInt64, 0, ""},
		"absurd and small":   {1<<51 - 1, data, hash, 0, "need 9223372036854771712 bytes, the device has 1048576"},
		"negative sizes":     {256, -1, -1, 0, "the device has -1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sample()
			s.DataBlocks = test.blocks
			err := s.Check(test.dataSize, test.hashSize, test.offset)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v does not say %q", err, test.want)
			}
		})
	}
}

func FuzzParseSuperblock(f *testing.F) {
	f.Add(sampleSuperblock(), int64(0))
	f.Add(sampleSuperblock(), int64(1<<62))
	f.Add(make([]byte, SuperblockSize), int64(0))
	f.Add([]byte("verity\x00\x00"), int64(-1))
	largest := sampleSuperblock()
	put(largest, 64, 512)
	put(largest, 68, 512)
	copy(largest[32:], "sha512")
	binary.LittleEndian.PutUint64(largest[72:], 1<<54-1)
	f.Add(largest, int64(math.MaxInt64)&^511)
	f.Fuzz(func(t *testing.T, b []byte, offset int64) {
		s, err := ParseSuperblock(b)
		if err != nil {
			return
		}
		if err := s.validate(); err != nil {
			t.Errorf("parsed and not valid: %v", err)
		}
		if strings.ContainsAny(s.Algorithm, " \t\n\\\x00") {
			t.Errorf("algorithm %q would break the table line", s.Algorithm)
		}
		table := Table{Superblock: *s, DataDevice: "8:1", HashDevice: "8:2"}
		// (Nine words: the root hash is empty here.)
		if words := strings.Fields(table.Line()); len(words) != 9 {
			t.Errorf("table line %q has %d words", table.Line(), len(words))
		}
		_ = s.Check(int64(len(b)), int64(len(b)), offset)
		g, err := s.Geometry(offset)
		if err != nil {
			return
		}
		if end := g.StartBlock + g.TreeBlocks; end > math.MaxInt64/uint64(s.HashBlockSize) {
			t.Errorf("tree ends at block %d of %d bytes", end, s.HashBlockSize)
		}
		if len(g.Levels) > 18 {
			t.Errorf("%d levels", len(g.Levels))
		}
		_ = s.Check(math.MaxInt64, math.MaxInt64, offset)
	})
}
