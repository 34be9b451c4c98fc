package hashtree

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/preroot/preroot/internal/veritytable"
)

// VerifyOptions are for Verify.
type VerifyOptions struct {
	Options
	// Limit is how many failures are kept; less than 1 means 1.
	Limit int
}

// Result is what Verify found.
type Result struct {
	// Failures are the first ones, in the order in which veritysetup would meet them: data blocks in
	// ascending order, then leaves, and so on.
	Failures []Failure
	// Count is how many there are in all that was read.
	Count uint64
	// Root is the digest of the top block (of the only data block, if there is no tree), as
	// it is on the device. It is nil if that could not be read.
	Root []byte
	// RootMatches says that this is the root hash that was asked for.
	RootMatches bool
	// Complete says that nothing was left out. Verify ends where a device ends too early;
	// Short is the block that is not there.
	Complete bool
	Short    *Failure

	failures failures
}

// Highest returns the failures of the highest level that has any, and whether they are
// all of that level, VerifyOptions.Limit having been enough. Blocks of lower levels may
// fail only because a block above them does.
func (r *Result) Highest() (failures []Failure, complete bool) { return r.failures.highest() }

// OK reports whether everything verified.
func (r *Result) OK() bool { return r.Complete && r.Count == 0 && r.RootMatches }

// errShort ends a verification: a device is shorter than the tree says.
var errShort = errors.New("device ends too early")

// Verify hashes all data blocks and compares them with the leaves on the hash device, the
// leaves with the level above, and the top block with the root hash; parts of hash blocks
// that hold no digest must be zero. All of that happens in one pass with a few MiB of memory.
//
// Blocks that do not verify are in the result. The error is about the call: a superblock that is not
// acceptable, a root hash of the wrong length, a cancelled context.
func Verify(ctx context.Context, s *veritytable.Superblock, hashOffset int64, root []byte, data, tree Source, o VerifyOptions) (*Result, error) {
	l, err := newLayout(s, hashOffset)
	if err != nil {
		return nil, err
	}
	if len(root) != l.DigestSize {
		return nil, fmt.Errorf("root hash has %d bytes, %s needs %d", len(root), s.Algorithm, l.DigestSize)
	}
	v := verifier{
		layout: l, tree: tree, digester: l.newDigester(), levels: make([]checked, len(l.Levels)),
		failures: failures{limit: max(1, o.Limit)}, result: &Result{Complete: true},
	}
	for i := range v.levels {
		v.levels[i] = checked{content: make([]byte, l.hashBlock), number: noBlock}
	}
	err = l.hashData(ctx, data, o.Options, v.takeRun)
	if errors.Is(err, errShort) {
		v.result.Complete, err = false, nil
	}
	if err != nil {
		return nil, err
	}
	v.result.Failures, v.result.Count, v.result.failures = v.failures.list(), v.failures.count, v.failures
	v.result.RootMatches = v.result.Root != nil && bytes.Equal(v.result.Root, root)
	return v.result, nil
}

// noBlock is no number of a block.
const noBlock = ^uint64(0)

// verifier holds the block of each level that digests are compared with.
type verifier struct {
	*layout
	tree     Source
	digester *digester
	levels   []checked
	digest   []byte
	failures failures
	result   *Result
}

type checked struct {
	content []byte
	number  uint64 // of the block within its level
	// unreadable says that content is nothing.
	unreadable bool
}

// takeRun compares a run of data blocks with the leaves.
func (v *verifier) takeRun(r *run) error {
	unreadable := r.unreadable
	for i := range r.blocks {
		block := r.first + uint64(i)
		digest := r.digests[i*v.DigestSize : (i+1)*v.DigestSize]
		if len(unreadable) > 0 && unreadable[0].index == i {
			v.fail(Unreadable, -1, block, -1, unreadable[0].err)
			if isShort(unreadable[0].err) {
				return errShort
			}
			digest, unreadable = nil, unreadable[1:]
		}
		if err := v.compare(-1, block, digest); err != nil {
			return err
		}
	}
	return nil
}

// compare looks the digest of a block up in the level above, level being that of the block; nil
// means that the block could not be read. With the last digest of a hash block that
// itself is finished, and compared with the level above.
func (v *verifier) compare(level int, block uint64, digest []byte) error {
	above := level + 1
	if above == len(v.levels) {
		v.result.Root = bytes.Clone(digest)
		return nil
	}
	parent, slot := block>>v.shift, int(block&(1<<v.shift-1))
	c := &v.levels[above]
	if c.number != parent {
		if err := v.load(level, block, c, parent); err != nil {
			return err
		}
	}
	if digest != nil && !c.unreadable {
		v.compareSlot(level, block, c, slot, digest)
	}
	children := v.dataBlocks
	if level >= 0 {
		children = v.Levels[level].Blocks
	}
	last := block+1 == children
	if !last && slot+1 < 1<<v.shift {
		return nil
	}
	return v.finish(level, c, slot)
}

// load reads the hash block that has the digest of a block.
func (v *verifier) load(level int, block uint64, c *checked, parent uint64) error {
	above := level + 1
	c.number = parent
	err := v.tree.Use(v.offset(above, parent), v.hashBlock, func(b []byte) error {
		copy(c.content, b)
		return nil
	})
	c.unreadable = err != nil
	if err == nil {
		return nil
	}
	if isShort(err) {
		// As if there were zeros: the first block that has its digest there does not match.
		v.fail(Mismatch, level, block, level, nil)
	}
	v.fail(Unreadable, above, parent, level, err)
	if isShort(err) {
		return errShort
	}
	return nil
}

// finish is for a hash block whose last digest, that of block, was compared.
func (v *verifier) finish(level int, c *checked, slot int) error {
	above := level + 1
	if c.unreadable {
		return v.compare(above, c.number, nil)
	}
	v.checkSpare(level, c, (slot+1)*v.slot, v.hashBlock)
	digest := v.digester.appendDigest(v.digest[:0], c.content)
	v.digest = nil // the levels above use it while they make theirs
	err := v.compare(above, c.number, digest)
	v.digest = digest
	return err
}

// compareSlot compares a digest with the one in the slot of a hash block.
func (v *verifier) compareSlot(level int, block uint64, c *checked, slot int, digest []byte) {
	start, end := slot*v.slot, (slot+1)*v.slot
	if !bytes.Equal(c.content[start:start+len(digest)], digest) {
		v.fail(Mismatch, level, block, level, nil)
	}
	v.checkSpare(level, c, start+len(digest), end)
}

// checkSpare looks for what is not zero in a part of a hash block.
func (v *verifier) checkSpare(level int, c *checked, start, end int) {
	if isZero(c.content[start:end]) {
		return
	}
	f := v.failure(SpareArea, level+1, c.number, level, nil)
	f.At += int64(start)
	v.failures.add(f)
}

// fail records a failure of a block within its level, met while a block of level stage
// was compared.
func (v *verifier) fail(kind FailureKind, level int, block uint64, stage int, err error) {
	f := v.failure(kind, level, block, stage, err)
	if isShort(err) {
		v.result.Short = &f
	}
	v.failures.add(f)
}

func (v *verifier) failure(kind FailureKind, level int, block uint64, stage int, err error) Failure {
	f := Failure{Kind: kind, Level: level, Block: block, Size: int64(v.dataBlock), Err: err, stage: stage}
	if level >= 0 {
		f.Block += v.Levels[level].FirstBlock
		f.Size = int64(v.hashBlock)
	}
	f.Offset = int64(f.Block) * f.Size
	f.At = f.Offset
	return f
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
