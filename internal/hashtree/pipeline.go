package hashtree

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Options are for work on whole devices.
type Options struct {
	// Workers is how many goroutines hash at the same time; less than 1 means 1.
	// The result does not depend on it.
	Workers int
	// Progress, if it is not nil, is told how many bytes of data are done. It is
	// called by one goroutine at a time, after each run of blocks.
	Progress func(done, total int64)
}

// runBytes is how much data one goroutine takes at a time: enough that handing
// over costs nothing, little enough to stay in a cache.
const runBytes = 512 << 10

// run is a number of neighbouring data blocks whose digests lie in one leaf
// block.
type run struct {
	first   uint64 // the first data block
	blocks  int
	digests []byte // of the blocks that could be read, without gaps
	// err is why the rest could not be read, from block first+len(digests)/size on.
	err  error
	done chan struct{}
}

// hashData hashes all data blocks and gives the runs to take, in order. Every
// other goroutine has ended when it returns. An error of take ends it and is
// returned; so does a cancelled context.
func (l *layout) hashData(ctx context.Context, data Source, o Options, take func(*run) error) error {
	ctx, cancel := context.WithCancel(ctx)
	workers := max(1, o.Workers)
	perRun := uint64(max(1, min(runBytes/l.dataBlock, 1<<l.shift)))
	// A few runs more than workers, so that none of them waits for the taker.
	free := make(chan *run, 3*workers)
	for range cap(free) {
		free <- &run{digests: make([]byte, 0, int(perRun)*l.DigestSize), done: make(chan struct{}, 1)}
	}
	work, order := make(chan *run, cap(free)), make(chan *run, cap(free))
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		defer close(work)
		defer close(order)
		for first := uint64(0); first < l.dataBlocks; first += perRun {
			select {
			case r := <-free:
				r.first, r.blocks = first, int(min(perRun, l.dataBlocks-first))
				order <- r
				work <- r
			case <-ctx.Done():
				return
			}
		}
	})
	for range workers {
		group.Go(func() {
			d := l.newDigester()
			for r := range work {
				l.hashRun(d, data, r)
				r.done <- struct{}{}
			}
		})
	}
	total := int64(l.dataBlocks) * int64(l.dataBlock)
	for r := range order {
		<-r.done
		if err := take(r); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(int64(r.first+uint64(r.blocks))*int64(l.dataBlock), total)
		}
		free <- r
	}
	return ctx.Err()
}

// hashRun fills in a run's digests. Blocks before one that cannot be read are
// hashed for themselves, so that the error is that of a single block.
func (l *layout) hashRun(d *digester, data Source, r *run) {
	// A source may call it again for the same bytes.
	start := 0
	hashBlocks := func(b []byte) error {
		r.digests = r.digests[:start]
		for ; len(b) > 0; b = b[l.dataBlock:] {
			r.digests = d.appendDigest(r.digests, b[:l.dataBlock])
		}
		return nil
	}
	offset := int64(r.first) * int64(l.dataBlock)
	r.digests, r.err = r.digests[:0], nil
	if data.Use(offset, r.blocks*l.dataBlock, hashBlocks) == nil {
		return
	}
	r.digests = r.digests[:0]
	for i := range r.blocks {
		start = i * l.DigestSize
		if r.err = data.Use(offset+int64(i)*int64(l.dataBlock), l.dataBlock, hashBlocks); r.err != nil {
			r.digests = r.digests[:start]
			return
		}
	}
}

// isShort tells the end of a device from a failure to read it.
func isShort(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
