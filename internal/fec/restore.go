package fec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/preroot/preroot/internal/reedsolomon"
)

// Restore computes what the blocks that are known to be bad should hold. bad are
// numbers of covered blocks: data blocks first, then the hash device from HashStart
// on. Since their places are known, as many blocks as there are roots may be bad in one
// column of blocks, or half as many where others are wrong in ways nobody
// knows of. The bad blocks themselves are not read, so they may be unreadable.
//
// give gets every block that was restored, with content that is valid during the call;
// an error of it ends the work. Blocks that cannot be restored are returned, in order.
func Restore(ctx context.Context, l Layout, d Devices, bad []uint64, give func(block uint64, content []byte) error) (lost []uint64, err error) {
	code, err := reedsolomon.New(int(l.Roots))
	if err != nil {
		return nil, err
	}
	// By the number of the block within its row: what shares codewords.
	columns := map[uint64][]int{}
	for _, block := range bad {
		if block >= l.Blocks() {
			return nil, fmt.Errorf("block %d is not covered by error correction, which covers %d", block, l.Blocks())
		}
		columns[block%l.Rounds] = append(columns[block%l.Rounds], int(block/l.Rounds))
	}
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		rows := columns[column]
		slices.Sort(rows)
		rows = slices.Compact(rows)
		restored, err := l.restoreColumn(ctx, code, d, column, rows)
		if errors.Is(err, reedsolomon.ErrUncorrectable) {
			for _, row := range rows {
				lost = append(lost, uint64(row)*l.Rounds+column)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			if err := give(uint64(row)*l.Rounds+column, restored[i]); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(lost)
	return lost, nil
}

// restoreColumn corrects all codewords of one column of blocks and returns the
// content of the bad ones.
func (l Layout) restoreColumn(ctx context.Context, code *reedsolomon.Code, d Devices, column uint64, bad []int) ([][]byte, error) {
	if len(bad) > int(l.Roots) {
		return nil, reedsolomon.ErrUncorrectable
	}
	restored := make([][]byte, len(bad))
	// Not more than 4 KiB of each block at a time: blocks may be 512 KiB.
	n := min(4096, int(l.BlockSize))
	table := make([]byte, l.rows()*n)
	parity := make([]byte, n*int(l.Roots))
	for start := 0; start < int(l.BlockSize); start += n {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		position := int64(column)*int64(l.BlockSize) + int64(start)
		for row := range l.rows() {
			if slices.Contains(bad, row) {
				clear(table[row*n : (row+1)*n])
				continue
			}
			if err := l.readRow(d, table[row*n:(row+1)*n], row, position); err != nil {
				return nil, err
			}
		}
		if err := l.readParity(d, parity, position); err != nil {
			return nil, err
		}
		for i := range n {
			var codeword [reedsolomon.CodewordSize]byte
			for row := range l.rows() {
				codeword[row] = table[row*n+i]
			}
			copy(codeword[l.rows():], parity[i*int(l.Roots):(i+1)*int(l.Roots)])
			if _, err := code.Correct(codeword[:], bad); err != nil {
				return nil, err
			}
			for j, row := range bad {
				restored[j] = append(restored[j], codeword[row])
			}
		}
	}
	return restored, nil
}
