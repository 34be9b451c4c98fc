package veritytable

import (
	"strings"
	"testing"
)

func TestGeometry(t *testing.T) {
	for name, test := range map[string]struct {
		algorithm            string
		dataBlock, hashBlock uint32
		blocks               uint64
		offset               int64
		perBlock, start      uint64
		levels               []uint64 // leaves first
	}{
		// Sizes that veritysetup made.
		"4 KiB":        {"sha256", 4096, 4096, 1, 0, 128, 1, nil},
		"8 KiB":        {"sha256", 4096, 4096, 2, 0, 128, 1, []uint64{1}},
		"512 KiB":      {"sha256", 4096, 4096, 128, 0, 128, 1, []uint64{1}},
		"516 KiB":      {"sha256", 4096, 4096, 129, 0, 128, 1, []uint64{2, 1}},
		"1 MiB":        {"sha256", 4096, 4096, 256, 0, 128, 1, []uint64{2, 1}},
		"64 MiB + 4":   {"sha256", 4096, 4096, 16385, 0, 128, 1, []uint64{129, 2, 1}},
		"1 GiB":        {"sha256", 4096, 4096, 262144, 0, 128, 1, []uint64{2048, 16, 1}},
		"Flatcar /usr": {"sha256", 4096, 4096, 260094, 1065345024, 128, 260095, []uint64{2032, 16, 1}},
		"sha512":       {"sha512", 1024, 4096, 1024, 0, 64, 1, []uint64{16, 1}},
		"sha1":         {"sha1", 4096, 4096, 256, 0, 128, 1, []uint64{2, 1}},
		"sha224":       {"sha224", 4096, 4096, 129, 0, 128, 1, []uint64{2, 1}},
		"sha384":       {"sha384", 1024, 1024, 300, 0, 16, 1, []uint64{19, 2, 1}},
		"512 in 512":   {"sha256", 512, 512, 1025, 0, 16, 1, []uint64{65, 5, 1}},
		"512 in 4096":  {"sha256", 512, 4096, 1025, 0, 128, 1, []uint64{9, 1}},
		"4096 in 512":  {"sha256", 4096, 512, 129, 0, 16, 1, []uint64{9, 1}},
		"largest":      {"sha256", 524288, 524288, 4, 0, 16384, 1, []uint64{1}},
		"offset 512":   {"sha256", 4096, 4096, 256, 512, 128, 1, []uint64{2, 1}},
		"offset 3584":  {"sha256", 4096, 4096, 256, 3584, 128, 1, []uint64{2, 1}},
		"offset 4096":  {"sha256", 4096, 4096, 256, 4096, 128, 2, []uint64{2, 1}},
		"offset 4608":  {"sha256", 4096, 4096, 256, 4608, 128, 2, []uint64{2, 1}},
		"2^54-1":       {"sha512", 512, 512, 1<<54 - 1, 0, 8, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := sample()
			s.Algorithm, s.DataBlockSize, s.HashBlockSize, s.DataBlocks = test.algorithm, test.dataBlock, test.hashBlock, test.blocks
			g, err := s.Geometry(test.offset)
			if err != nil {
				t.Fatal(err)
			}
			if g.DigestsPerBlock != test.perBlock || g.StartBlock != test.start {
				t.Errorf("%d digests a block, start %d; want %d, %d", g.DigestsPerBlock, g.StartBlock, test.perBlock, test.start)
			}
			if name == "2^54-1" {
				if len(g.Levels) != 18 {
					t.Errorf("%d levels, want 18", len(g.Levels))
				}
				return
			}
			if len(g.Levels) != len(test.levels) {
				t.Fatalf("levels %v, want %v", g.Levels, test.levels)
			}
			first, total := test.start, uint64(0)
			for i := len(g.Levels) - 1; i >= 0; i-- {
				if want := (Level{first, test.levels[i]}); g.Levels[i] != want {
					t.Errorf("level %d is %v, want %v", i, g.Levels[i], want)
				}
				first += test.levels[i]
				total += test.levels[i]
			}
			if g.TreeBlocks != total {
				t.Errorf("%d tree blocks, want %d", g.TreeBlocks, total)
			}
		})
	}
}

// Superblocks can be built by hand too; Geometry must not divide by their zeros.
func TestGeometryRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *Superblock)
		want   string
	}{
		"zero value":        {func(s *Superblock) { *s = Superblock{} }, "is not the name of a hash algorithm"},
		"unknown algorithm": {func(s *Superblock) { s.Algorithm = "sm3" }, `hash algorithm "sm3" is not supported`},
		"no hash block":     {func(s *Superblock) { s.HashBlockSize = 0 }, "hash block size 0"},
		"no data block":     {func(s *Superblock) { s.DataBlockSize = 0 }, "data block size 0"},
		"no blocks":         {func(s *Superblock) { s.DataBlocks = 0 }, "0 data blocks"},
		"salt":              {func(s *Superblock) { s.Salt = make([]byte, 257) }, "salt of 257 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sample()
			test.change(&s)
			_, err := s.Geometry(0)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			}
		})
	}
}

func TestGeometryRefusesTreePastTheLargestOffset(t *testing.T) {
	s := sample()
	s.DataBlockSize, s.DataBlocks = 512, 1<<54-1
	if _, err := s.Geometry(1 << 62); err != nil {
		t.Errorf("a tree that ends below 2^63: %v", err)
	}
	_, err := s.Geometry(1<<63 - 1<<50)
	if err == nil || !strings.Contains(err.Error(), "at most 2251799813685247") {
		t.Errorf("error %v does not name the limit", err)
	}
}
