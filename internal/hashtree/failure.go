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

// failures keeps the first limit failures of every stage, and counts them all.
type failures struct {
	limit  int
	stages [][]Failure // the data blocks, then the levels
	count  uint64
}

// add returns the failure as it is kept, if it is.
func (f *failures) add(failure Failure) *Failure {
	f.count++
	stage := failure.stage + 1
	for len(f.stages) <= stage {
		f.stages = append(f.stages, nil)
	}
	if len(f.stages[stage]) >= f.limit {
		return &failure
	}
	f.stages[stage] = append(f.stages[stage], failure)
	return &f.stages[stage][len(f.stages[stage])-1]
}

// highest returns the failures of blocks of the highest level that has any, and whether
// they are all there are of it.
func (f *failures) highest() (found []Failure, complete bool) {
	level := -2
	for _, stage := range f.stages {
		for _, failure := range stage {
			level = max(level, failure.Level)
		}
	}
	complete = true
	// A stage has failures of its own level, and of the one above.
	for stage := max(0, level); stage <= level+1 && stage < len(f.stages); stage++ {
		complete = complete && len(f.stages[stage]) < f.limit
		for _, failure := range f.stages[stage] {
			if failure.Level == level {
				found = append(found, failure)
			}
		}
	}
	return found, complete
}

// list returns the first of all, in the order of Failure.stage and, within one, of blocks.
func (f *failures) list() []Failure {
	all := slices.Concat(f.stages...)
	return all[:min(len(all), f.limit)]
}
