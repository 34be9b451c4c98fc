package hashtree

import (
	"fmt"
	"slices"
)

// FailureKind says what is wrong with a block.
type FailureKind int

// The kinds of failures.
const (
	// Mismatch: the block's digest is not the one in the tree.
	Mismatch FailureKind = iota
	// SpareArea: a part of a hash block that holds no digest is not zero. The block is the
	// one with the digests, and At is where the part starts.
	SpareArea
	// Unreadable: the block, or the hash block with its digest, could not be read.
	Unreadable
)

// String returns one word.
func (k FailureKind) String() string {
	switch k {
	case Mismatch:
		return "mismatch"
	case SpareArea:
		return "spare"
	case Unreadable:
		return "unreadable"
	}
	return "unknown"
}

// Failure is a block that did not verify.
type Failure struct {
	Kind FailureKind
	// Level of the hash block, 0 being the leaves; -1 is a data block.
	Level  int
	Block  uint64 // in blocks from the start of its device
	Offset int64  // in bytes from the start of its device
	Size   int64  // in bytes
	At     int64  // of what is wrong: Offset, or that of a spare area
	// Err is why an unreadable block was not read.
	Err error
	// stage is where veritysetup would meet it: it compares all data blocks first (-1), then the
	// leaves (0), and so on upward.
	stage int
}

// String tells which block it is and where it lies.
func (f Failure) String() string {
	what := fmt.Sprintf("hash block %d (level %d)", f.Block, f.Level)
	if f.Level < 0 {
		what = fmt.Sprintf("data block %d", f.Block)
	}
	place := fmt.Sprintf("bytes %d to %d", f.Offset, f.Offset+f.Size-1)
	switch f.Kind {
	case SpareArea:
		return fmt.Sprintf("%s, %s: not zero behind its digests", what, place)
	case Unreadable:
		return fmt.Sprintf("%s, %s: %v", what, place, f.Err)
	}
	return fmt.Sprintf("%s, %s: does not match its digest", what, place)
}

// failures keeps the first of every stage and of every level, limit each, and counts
// them all.
type failures struct {
	limit  int
	stages [][]Failure // the data blocks, then the levels
	levels []levelFailures
	count  uint64
}

type levelFailures struct {
	first []Failure
	count uint64
}

func (f *failures) add(failure Failure) {
	f.count++
	for len(f.stages) <= failure.stage+1 {
		f.stages = append(f.stages, nil)
	}
	if stage := &f.stages[failure.stage+1]; len(*stage) < f.limit {
		*stage = append(*stage, failure)
	}
	for len(f.levels) <= failure.Level+1 {
		f.levels = append(f.levels, levelFailures{})
	}
	level := &f.levels[failure.Level+1]
	level.count++
	if len(level.first) < f.limit {
		level.first = append(level.first, failure)
	}
}

// highest returns the failures of blocks of the highest level that has any, and whether
// they are all there are of it.
func (f *failures) highest() (found []Failure, complete bool) {
	if len(f.levels) == 0 {
		return nil, true
	}
	level := f.levels[len(f.levels)-1]
	return level.first, level.count == uint64(len(level.first))
}

// list returns the first of all, in the order of Failure.stage and, within one, of blocks.
func (f *failures) list() []Failure {
	all := slices.Concat(f.stages...)
	return all[:min(len(all), f.limit)]
}
