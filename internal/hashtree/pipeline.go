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
	digests []byte // of all blocks; of those that could not be read, anything
	// unreadable are the blocks that could not be read, ascending; none is read behind one that
	// is behind the end.
	unreadable []unreadableBlock
	done       chan struct{}
}

type unreadableBlock struct {
	index int // within the run
	err   error
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
		free <- &run{digests: make([]byte, int(perRun)*l.DigestSize), done: make(chan struct{}, 1)}
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

// hashRun fills in a run's digests. After a failure the blocks are read one by one.
func (l *layout) hashRun(d *digester, data Source, r *run) {
	r.unreadable = r.unreadable[:0]
	offset := int64(r.first) * int64(l.dataBlock)
	hashAt := func(index int) func(b []byte) error {
		return func(b []byte) error {
			for i := index; len(b) > 0; i, b = i+1, b[l.dataBlock:] {
				d.appendDigest(r.digests[:i*l.DigestSize], b[:l.dataBlock])
			}
			return nil
		}
	}
	if data.Use(offset, r.blocks*l.dataBlock, hashAt(0)) == nil {
		return
	}
	for i := range r.blocks {
		err := data.Use(offset+int64(i)*int64(l.dataBlock), l.dataBlock, hashAt(i))
		if err == nil {
			continue
		}
		r.unreadable = append(r.unreadable, unreadableBlock{i, err})
		if isShort(err) {
			return
		}
	}
}

// isShort tells the end of a device from a failure to read it.
func isShort(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
