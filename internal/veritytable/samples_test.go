package veritytable

import (
	"slices"
	"testing"
)

func TestSampleBlocks(t *testing.T) {
	for blocks, want := range map[uint64][]uint64{
		1: {0}, 2: {0, 1}, 3: {0, 1, 2}, 4: {0, 2, 3}, 256: {0, 128, 255}, 1<<51 - 1: {0, 1<<50 - 1, 1<<51 - 2},
	} {
		s := Superblock{DataBlocks: blocks}
		if got := s.SampleBlocks(); !slices.Equal(got, want) {
			t.Errorf("%d blocks: %v, want %v", blocks, got, want)
		}
	}
}
