package hashtree

import (
	"encoding/hex"
	"fmt"
)

// MismatchError says that a block is not the one that the tree (or the root hash) stands for.
type MismatchError struct {
	Level    int    // of the hash block, 0 being the leaves; -1 is a data block
	TopLevel bool   // compared with the root hash itself
	Block    uint64 // in blocks from the start of its device
	Offset   int64  // in bytes from the start of its device
	Want     []byte // the digest that was expected
	Got      []byte // that of the block as it is
}

// Error tells which block it is, and what a person can do something with: for a comparison with
// the root hash the start of both hashes, otherwise the place of the block.
func (e *MismatchError) Error() string {
	what := fmt.Sprintf("hash block %d (level %d)", e.Block, e.Level)
	if e.Level < 0 {
		what = fmt.Sprintf("data block %d", e.Block)
	} else if e.TopLevel {
		what = "the top hash block"
	}
	if e.TopLevel {
		return fmt.Sprintf("%s does not match the root hash (%s, not %s)", what, start(e.Got), start(e.Want))
	}
	parent := "its parent"
	if e.Level < 0 {
		parent = "the hash tree"
	}
	return fmt.Sprintf("%s does not match %s (byte %d)", what, parent, e.Offset)
}

// start is as much of a digest as a person compares.
func start(digest []byte) string {
	return hex.EncodeToString(digest[:min(len(digest), 4)]) + ".."
}
