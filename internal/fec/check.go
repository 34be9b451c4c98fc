package fec

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/preroot/preroot/internal/reedsolomon"
)

// CheckResult is what Check found.
type CheckResult struct {
	// WrongSymbols counts the bytes that the code would change, in blocks and in the parity.
	WrongSymbols uint64
	// WrongParity counts those of them in the parity.
	WrongParity uint64
	// Uncorrectable says that at least one codeword has too many errors, and FirstRound is the
	// lowest number of a block within a row with one.
	Uncorrectable bool
	FirstRound    uint64
}

// Check compares all covered blocks with their parity, without help of any hash: the
// places of errors are not known, so roots/2 bytes of a codeword can be wrong.
func Check(ctx context.Context, l Layout, d Devices, o Options) (CheckResult, error) {
	code, err := reedsolomon.New(int(l.Roots))
	if err != nil {
		return CheckResult{}, err
	}
	var result CheckResult
	var lock sync.Mutex
	err = l.eachColumns(ctx, d, o, func(position int64, computed []byte) error {
		stored := make([]byte, len(computed))
		if err := l.readParity(d, stored, position); err != nil {
			return err
		}
		if bytes.Equal(stored, computed) {
			return nil
		}
		found, err := l.checkColumns(ctx, code, d, position, stored, computed)
		lock.Lock()
		defer lock.Unlock()
		result.add(found)
		return err
	})
	return result, err
}

func (r *CheckResult) add(other CheckResult) {
	r.WrongSymbols += other.WrongSymbols
	r.WrongParity += other.WrongParity
	if other.Uncorrectable && (!r.Uncorrectable || other.FirstRound < r.FirstRound) {
		r.Uncorrectable, r.FirstRound = true, other.FirstRound
	}
}

// checkColumns corrects, in memory, the codewords whose parity is not the computed one.
func (l Layout) checkColumns(ctx context.Context, code *reedsolomon.Code, d Devices, position int64, stored, computed []byte) (CheckResult, error) {
	var result CheckResult
	roots := int(l.Roots)
	// A few codewords at a time: they need 255 bytes each.
	const atOnce = 1 << 10
	table := make([]byte, l.rows()*atOnce)
	for start := 0; start < len(stored)/roots; start += atOnce {
		n := min(atOnce, len(stored)/roots-start)
		if bytes.Equal(stored[start*roots:(start+n)*roots], computed[start*roots:(start+n)*roots]) {
			continue
		}
		if ctx.Err() != nil {
			return result, context.Cause(ctx)
		}
		for row := range l.rows() {
			if err := l.readRow(d, table[row*atOnce:][:n], row, position+int64(start)); err != nil {
				return result, err
			}
		}
		for i := range n {
			parity := stored[(start+i)*roots:][:roots]
			if bytes.Equal(parity, computed[(start+i)*roots:][:roots]) {
				continue
			}
			var codeword [reedsolomon.CodewordSize]byte
			for row := range l.rows() {
				codeword[row] = table[row*atOnce+i]
			}
			copy(codeword[l.rows():], parity)
			changed, err := code.Correct(codeword[:], nil)
			if errors.Is(err, reedsolomon.ErrUncorrectable) {
				result.add(CheckResult{Uncorrectable: true, FirstRound: uint64(position+int64(start+i)) / uint64(l.BlockSize)})
				continue
			}
			result.WrongSymbols += uint64(changed)
			for j, symbol := range codeword[l.rows():] {
				if symbol != parity[j] {
					result.WrongParity++
				}
			}
		}
	}
	return result, nil
}
