package verity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/preroot/preroot/internal/fec"
	"github.com/preroot/preroot/internal/hashtree"
)

// restoredBlocks is content for blocks that are bad on disk, by covered block: data
// blocks first, then those of the hash device.
type restoredBlocks struct {
	layout fec.Layout
	blocks map[uint64][]byte
}

// restore computes the bad blocks, from the top of the tree down: only below
// good hash blocks is it known which blocks are bad. It is done when everything
// verifies, in memory.
func (s *session) restore(ctx context.Context, v *volume, result *hashtree.Result) (*restoredBlocks, error) {
	r := &restoredBlocks{layout: v.layout, blocks: map[uint64][]byte{}}
	for !result.OK() {
		bad, err := highestBad(v, result)
		if err != nil {
			return nil, err
		}
		for _, block := range bad {
			if r.blocks[block] != nil {
				return nil, errors.New("what error correction makes of a block does not verify either")
			}
		}
		if len(r.blocks)+len(bad) > maxRepair {
			return nil, fmt.Errorf("more than %d bad blocks", maxRepair)
		}
		lost, err := fec.Restore(ctx, v.layout, r.devices(v), bad, func(block uint64, content []byte) error {
			r.blocks[block] = slices.Clone(content)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(lost) > 0 {
			return nil, fmt.Errorf("%d blocks have too many errors", len(lost))
		}
		patched := r.devices(v)
		result, err = s.verifyHashes(ctx, v, hashtree.ReaderSource(patched.Data, v.data.size), hashtree.ReaderSource(patched.Hash, v.hash.size))
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// highestBad returns the bad blocks of the highest level that has any, as covered blocks.
func highestBad(v *volume, result *hashtree.Result) ([]uint64, error) {
	if !result.Complete {
		return nil, shortReason(v, result)
	}
	top := len(v.geometry.Levels) - 1
	if !result.RootMatches && top >= 0 {
		return []uint64{v.geometry.StartBlock - v.layout.HashStart + v.layout.DataBlocks}, nil
	}
	failures, all := result.Highest()
	if !all {
		return nil, fmt.Errorf("more than %d bad blocks", len(failures))
	}
	var bad []uint64
	for _, failed := range failures {
		block := failed.Block
		if failed.Level >= 0 {
			block = block - v.layout.HashStart + v.layout.DataBlocks
		}
		bad = append(bad, block)
	}
	return bad, nil
}

// devices shows the volume with the restored blocks in their places.
func (r *restoredBlocks) devices(v *volume) fec.Devices {
	size := int64(r.layout.BlockSize)
	hashStart, dataBlocks := int64(r.layout.HashStart), int64(r.layout.DataBlocks)
	return fec.Devices{
		Data: &patchedReader{ReaderAt: v.data, blockSize: size, content: func(block int64) []byte {
			if block >= dataBlocks {
				return nil
			}
			return r.blocks[uint64(block)]
		}},
		Hash: &patchedReader{ReaderAt: v.hash, blockSize: size, content: func(block int64) []byte {
			if block < hashStart {
				return nil
			}
			return r.blocks[uint64(block-hashStart+dataBlocks)]
		}},
		Parity: v.parity,
	}
}

// patchedReader shows a device with some blocks replaced, which are not read.
type patchedReader struct {
	io.ReaderAt
	blockSize int64
	content   func(block int64) []byte
}

func (p *patchedReader) ReadAt(b []byte, offset int64) (int, error) {
	patched := false
	for block := offset / p.blockSize; block*p.blockSize < offset+int64(len(b)); block++ {
		patched = patched || p.content(block) != nil
	}
	if !patched {
		return p.ReaderAt.ReadAt(b, offset)
	}
	done := 0
	for done < len(b) {
		at := offset + int64(done)
		part := b[done:min(len(b), done+int(p.blockSize-at%p.blockSize))]
		if content := p.content(at / p.blockSize); content != nil {
			copy(part, content[at%p.blockSize:])
		} else if n, err := p.ReaderAt.ReadAt(part, at); n < len(part) {
			return done + n, err
		}
		done += len(part)
	}
	return done, nil
}
