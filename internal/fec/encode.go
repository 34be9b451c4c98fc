package fec

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/preroot/preroot/internal/reedsolomon"
)

// Options are for work on whole devices.
type Options struct {
	// Workers is how many goroutines work at the same time; less than 1 means 1.
	Workers int
	// Progress, if it is not nil, is told how many bytes of the covered blocks are done.
	// It is called by one goroutine at a time.
	Progress func(done, total int64)
}

// columns is how many codewords one goroutine works on at a time. Their registers
// and eight rows of them stay in a cache, and each read is long enough.
const columns = 16 << 10

// rowsAtOnce are handed to the encoder in one go.
const rowsAtOnce = 8

// Encode computes the parity of all covered blocks and writes it to its place. It
// needs a MiB or two a worker for any size of device. What is written is not synced. A
// cancelled context ends it with its error.
func Encode(ctx context.Context, l Layout, d Devices, parity io.WriterAt, o Options) error {
	return l.eachColumns(ctx, d, o, func(position int64, computed []byte) error {
		_, err := parity.WriteAt(computed, l.Offset+position*int64(l.Roots))
		return err
	})
}

// eachColumns computes the parity of runs of codewords and gives each to use, in no
// order and by several goroutines.
func (l Layout) eachColumns(ctx context.Context, d Devices, o Options, use func(position int64, parity []byte) error) error {
	code, err := reedsolomon.New(int(l.Roots))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var progress sync.Mutex
	total := int64(l.Blocks()) * int64(l.BlockSize)
	var group sync.WaitGroup
	for range max(1, o.Workers) {
		group.Go(func() {
			w := newColumnWorker(code)
			for ctx.Err() == nil {
				position := next.Add(columns) - columns
				if position >= l.rowSize() {
					return
				}
				n := int(min(columns, l.rowSize()-position))
				parity, err := w.encode(ctx, l, d, position, n)
				if err == nil {
					err = use(position, parity)
				}
				if err != nil {
					cancel(err)
					return
				}
				if finished := done.Add(int64(n)); o.Progress != nil {
					progress.Lock()
					o.Progress(min(total, finished*int64(l.rows())), total)
					progress.Unlock()
				}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// columnWorker is the memory of one goroutine.
type columnWorker struct {
	encoder *reedsolomon.Encoder
	rows    [rowsAtOnce][]byte
	parity  []byte
}

func newColumnWorker(code *reedsolomon.Code) *columnWorker {
	w := &columnWorker{encoder: code.NewEncoder(columns), parity: make([]byte, 0, columns*code.Roots())}
	memory := make([]byte, rowsAtOnce*columns)
	for i := range w.rows {
		w.rows[i] = memory[i*columns : (i+1)*columns]
	}
	return w
}

// encode returns the parity of n codewords, which is valid until the next call.
func (w *columnWorker) encode(ctx context.Context, l Layout, d Devices, position int64, n int) ([]byte, error) {
	w.encoder.Reset(n)
	for row := 0; row < l.rows(); row += rowsAtOnce {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		some := w.rows
		count := min(rowsAtOnce, l.rows()-row)
		for i := range count {
			some[i] = w.rows[i][:n]
			if err := l.readRow(d, some[i], row+i, position); err != nil {
				return nil, err
			}
		}
		w.encoder.Add(some[:count]...)
	}
	w.parity = w.encoder.AppendParity(w.parity[:0])
	return w.parity, nil
}
