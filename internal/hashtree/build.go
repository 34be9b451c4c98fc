package hashtree

import (
	"context"
	"fmt"
	"io"

	"github.com/preroot/preroot/internal/veritytable"
)

// Error is a device that could not be read or written while a tree was built
// or checked.
type Error struct {
	Operation string // "read" or "write"
	Device    string // "data" or "hash"
	Offset    int64  // bytes from the start of the device
	Err       error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s device at byte %d: %v", e.Operation, e.Device, e.Offset, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Build hashes the data blocks and writes the tree, all of it but the superblock,
// to its place on the hash device. It returns the root hash.
//
// The tree is written upward as it grows, a block of each level being kept in
// memory: a few MiB for any size of device. What is written is not synced. A
// failed read or write is an *Error; a cancelled context ends the work with its
// error, and a part of a tree then lies on the device.
func Build(ctx context.Context, s *veritytable.Superblock, hashOffset int64, data Source, tree io.WriterAt, o Options) ([]byte, error) {
	l, err := newLayout(s, hashOffset)
	if err != nil {
		return nil, err
	}
	b := builder{layout: l, tree: tree, digester: l.newDigester(), levels: make([]growing, len(l.Levels))}
	for i := range b.levels {
		b.levels[i].content = make([]byte, 0, l.hashBlock)
	}
	err = l.hashData(ctx, data, o, func(r *run) error {
		if len(r.unreadable) > 0 {
			block := r.first + uint64(r.unreadable[0].index)
			return &Error{Operation: "read", Device: "data", Offset: int64(block) * int64(l.dataBlock), Err: r.unreadable[0].err}
		}
		for i := range r.blocks {
			if err := b.add(0, r.digests[i*l.DigestSize:(i+1)*l.DigestSize]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = b.finish()
	}
	return b.root, err
}

// builder holds the block under construction of each level.
type builder struct {
	*layout
	tree     io.WriterAt
	digester *digester
	levels   []growing
	digest   []byte
	root     []byte
}

type growing struct {
	content []byte // the slots so far
	number  uint64 // of the block within its level
	count   int    // digests in it
}

// add puts the next digest into a level, and writes the block once it is full.
// Above the top level is the root hash.
func (b *builder) add(level int, digest []byte) error {
	if level == len(b.levels) {
		b.root = append([]byte(nil), digest...)
		return nil
	}
	g := &b.levels[level]
	start := len(g.content)
	g.content = g.content[:start+b.slot]
	clear(g.content[start+copy(g.content[start:], digest):])
	g.count++
	if g.count < 1<<b.shift {
		return nil
	}
	return b.flush(level)
}

// flush writes the block of a level, its unused part zero, and hands its digest up.
func (b *builder) flush(level int) error {
	g := &b.levels[level]
	used := len(g.content)
	g.content = g.content[:b.hashBlock]
	clear(g.content[used:])
	offset := b.offset(level, g.number)
	if _, err := b.tree.WriteAt(g.content, offset); err != nil {
		return &Error{Operation: "write", Device: "hash", Offset: offset, Err: err}
	}
	digest := b.digester.appendDigest(b.digest[:0], g.content)
	b.digest = nil // the levels above use it while they make theirs
	g.content, g.count = g.content[:0], 0
	g.number++
	err := b.add(level+1, digest)
	b.digest = digest
	return err
}

// finish writes the blocks that are not full, from below.
func (b *builder) finish() error {
	for level := range b.levels {
		if b.levels[level].count == 0 {
			continue
		}
		if err := b.flush(level); err != nil {
			return err
		}
	}
	return nil
}
