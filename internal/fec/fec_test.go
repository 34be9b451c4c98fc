package fec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/preroot/preroot/internal/veritytable"
)

// disk is a device in memory, of a fixed size.
type disk []byte

func (d disk) WriteAt(b []byte, offset int64) (int, error) {
	if offset+int64(len(b)) > int64(len(d)) {
		return 0, io.ErrShortWrite
	}
	return copy(d[offset:], b), nil
}

func (d disk) ReadAt(b []byte, offset int64) (int, error) {
	return bytes.NewReader(d).ReadAt(b, offset)
}

// sample is a protected volume. What stands on the hash device is of no matter here.
type sample struct {
	layout             Layout
	data, hash, parity disk
}

func newSample(t testing.TB, roots uint32, dataBlocks uint64, blockSize uint32) *sample {
	t.Helper()
	s := &veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: blockSize, HashBlockSize: blockSize, DataBlocks: dataBlocks}
	g, err := s.Geometry(0)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(uint64(roots), dataBlocks))
	fill := func(blocks uint64) disk {
		d := make(disk, blocks*uint64(blockSize))
		for i := range d {
			d[i] = byte(random.Uint32())
		}
		return d
	}
	m := &sample{data: fill(dataBlocks), hash: fill(g.StartBlock + g.TreeBlocks + 3)}
	if m.layout, err = Compute(s, g, roots, 1024, int64(len(m.hash))); err != nil {
		t.Fatal(err)
	}
	m.parity = make(disk, m.layout.Offset+m.layout.Size())
	if err := Encode(t.Context(), m.layout, m.devices(), m.parity, Options{Workers: 2}); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *sample) devices() Devices { return Devices{Data: m.data, Hash: m.hash, Parity: m.parity} }

// block returns a covered block.
func (m *sample) block(number uint64) []byte {
	size := uint64(m.layout.BlockSize)
	if number < m.layout.DataBlocks {
		return m.data[number*size : (number+1)*size]
	}
	number += m.layout.HashStart - m.layout.DataBlocks
	return m.hash[number*size : (number+1)*size]
}

func TestLayout(t *testing.T) {
	for _, test := range []struct {
		blocks        uint64
		roots         uint32
		end           int64
		rounds, total uint64
	}{
		// Specification: 256 data blocks, 3 of the tree behind the superblock's.
		{256, 2, 4 * 4096, 2, 4},
		{256, 4, 4 * 4096, 2, 8},
		{256, 24, 4 * 4096, 2, 48},
		{250, 2, 4 * 4096, 1, 2},
		{250, 2, 5 * 4096, 2, 4},   // a block more behind the tree
		{250, 2, 5*4096 - 1, 1, 2}, // and not quite one
		{1, 2, 4096, 1, 2},         // no tree
		{1, 2, 0, 1, 2},            // no hash device to speak of
		{262144, 2, 2066 * 4096, 1045, 2090},
	} {
		s := &veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: test.blocks}
		g, err := s.Geometry(0)
		if err != nil {
			t.Fatal(err)
		}
		l, err := Compute(s, g, test.roots, 0, test.end)
		if err != nil || l.Rounds != test.rounds || l.ParityBlocks() != test.total || l.Size() != int64(test.total)*4096 {
			t.Errorf("%+v: %+v, %v", test, l, err)
		}
	}
}

func TestLayoutIsBounded(t *testing.T) {
	s := veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 256}
	g, err := s.Geometry(0)
	if err != nil {
		t.Fatal(err)
	}
	mixed := s
	mixed.DataBlockSize = 1024
	huge := s
	huge.DataBlocks = math.MaxInt64 / 4096
	for name, compute := range map[string]func() (Layout, error){
		"block sizes":    func() (Layout, error) { return Compute(&mixed, g, 2, 0, 1<<20) },
		"1 root":         func() (Layout, error) { return Compute(&s, g, 1, 0, 1<<20) },
		"25 roots":       func() (Layout, error) { return Compute(&s, g, 25, 0, 1<<20) },
		"2^32-1 roots":   func() (Layout, error) { return Compute(&s, g, math.MaxUint32, 0, 1<<20) },
		"offset":         func() (Layout, error) { return Compute(&s, g, 2, 100, 1<<20) },
		"no offset":      func() (Layout, error) { return Compute(&s, g, 2, -512, 1<<20) },
		"far offset":     func() (Layout, error) { return Compute(&s, g, 2, math.MaxInt64-511, 1<<20) },
		"in the tree":    func() (Layout, error) { return Compute(&s, g, 2, 0, 3*4096) },
		"too many bytes": func() (Layout, error) { return Compute(&huge, g, 24, 0, math.MaxInt64) },
	} {
		if l, err := compute(); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
	if _, err := Compute(&mixed, g, 2, 0, 1<<20); !errors.Is(err, ErrBlockSizes) {
		t.Error(err)
	}
	if _, err := Compute(&s, g, 1, 0, 1<<20); !errors.Is(err, ErrRoots) {
		t.Error(err)
	}
}

func TestEncodingDoesNotDependOnWorkers(t *testing.T) {
	m := newSample(t, 5, 3000, 512)
	for _, workers := range []int{0, 1, 7} {
		again := make(disk, len(m.parity))
		if err := Encode(t.Context(), m.layout, m.devices(), again, Options{Workers: workers}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, m.parity) {
			t.Errorf("%d workers: other parity", workers)
		}
	}
}

func TestCheckCountsWhatIsWrong(t *testing.T) {
	m := newSample(t, 4, 3000, 512)
	check := func() CheckResult {
		t.Helper()
		r, err := Check(t.Context(), m.layout, m.devices(), Options{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := check(); r != (CheckResult{}) {
		t.Errorf("nothing is wrong: %+v", r)
	}
	m.block(7)[3] ^= 1
	m.block(7)[4] ^= 1
	m.block(m.layout.DataBlocks + 1)[100] ^= 1
	m.parity[m.layout.Offset+9] ^= 1
	if r := check(); r != (CheckResult{WrongSymbols: 4, WrongParity: 1}) {
		t.Errorf("4 bytes are wrong: %+v", r)
	}
	// Three blocks of one column are too many for four roots.
	for row := range uint64(3) {
		m.block(2 + row*m.layout.Rounds)[77] ^= 1
	}
	if r := check(); !r.Uncorrectable || r.FirstRound != 2 || r.WrongSymbols != 4 {
		t.Errorf("uncorrectable in column 2: %+v", r)
	}
}

func TestRestore(t *testing.T) {
	for _, size := range []uint32{512, 8192} {
		for _, roots := range []uint32{2, 7, 24} {
			t.Run(fmt.Sprintf("%d/%d", size, roots), func(t *testing.T) {
				m := newSample(t, roots, 700, size)
				var bad []uint64
				want := map[uint64][]byte{}
				damage := func(block uint64) {
					bad = append(bad, block)
					want[block] = bytes.Clone(m.block(block))
					clear(m.block(block))
				}
				// As many as there are roots in one column, another one elsewhere, and one of the tree.
				for row := range uint64(roots) {
					damage(1 + row*m.layout.Rounds)
				}
				damage(2)
				tree := m.layout.DataBlocks
				for tree%m.layout.Rounds != 0 {
					tree++
				}
				damage(tree)
				bad = append(bad, 2) // named twice
				lost, err := Restore(t.Context(), m.layout, m.devices(), bad, func(block uint64, content []byte) error {
					if !bytes.Equal(content, want[block]) {
						t.Errorf("block %d is restored to something else", block)
					}
					delete(want, block)
					return nil
				})
				if err != nil || len(lost) != 0 || len(want) != 0 {
					t.Errorf("lost %v, not given %d, %v", lost, len(want), err)
				}
			})
		}
	}
}

func TestRestoreKnowsItsLimits(t *testing.T) {
	m := newSample(t, 2, 1000, 512)
	give := func(uint64, []byte) error { return nil }
	bad := []uint64{3 + 2*m.layout.Rounds, 3, 3 + m.layout.Rounds, 4}
	lost, err := Restore(t.Context(), m.layout, m.devices(), bad, give)
	if err != nil || fmt.Sprint(lost) != fmt.Sprint([]uint64{3, 3 + m.layout.Rounds, 3 + 2*m.layout.Rounds}) {
		t.Errorf("lost %v, %v", lost, err)
	}
	if _, err := Restore(t.Context(), m.layout, m.devices(), []uint64{m.layout.Blocks()}, give); err == nil {
		t.Error("a block that is not covered is restored")
	}
	failure := errors.New("disk full")
	if _, err := Restore(t.Context(), m.layout, m.devices(), bad, func(uint64, []byte) error { return failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
}

// unreadable fails where a block lies.
type unreadable struct {
	disk
	start, end int64
}

func (d unreadable) ReadAt(b []byte, offset int64) (int, error) {
	if offset < d.end && d.start < offset+int64(len(b)) {
		return 0, errors.New("input/output error")
	}
	return d.disk.ReadAt(b, offset)
}

func TestBadBlocksAreNotRead(t *testing.T) {
	m := newSample(t, 2, 1000, 512)
	want := bytes.Clone(m.block(11))
	d := m.devices()
	d.Data = unreadable{m.data, 11 * 512, 12 * 512}
	given := false
	if _, err := Restore(t.Context(), m.layout, d, []uint64{11}, func(_ uint64, content []byte) error {
		given = bytes.Equal(content, want)
		return nil
	}); err != nil || !given {
		t.Errorf("given %v, %v", given, err)
	}
	failed, ok := errors.AsType[*ReadError](Encode(t.Context(), m.layout, d, m.parity, Options{}))
	if !ok || failed.Device != "data" {
		t.Errorf("encode: %v", failed)
	}
}

func TestShortDevices(t *testing.T) {
	m := newSample(t, 2, 1000, 512)
	for device, d := range map[string]Devices{
		"data": {Data: m.data[:999*512], Hash: m.hash, Parity: m.parity},
		"hash": {Data: m.data, Hash: m.hash[:len(m.hash)-1], Parity: m.parity},
		"FEC":  {Data: m.data, Hash: m.hash, Parity: m.parity[:len(m.parity)-1]},
	} {
		_, err := Check(t.Context(), m.layout, d, Options{Workers: 2})
		failed, ok := errors.AsType[*ReadError](err)
		if !ok || failed.Device != device || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", device, err)
		}
	}
	if err := Encode(t.Context(), m.layout, m.devices(), m.parity[:5000], Options{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("full disk: %v", err)
	}
}

func TestCancel(t *testing.T) {
	m := newSample(t, 2, 1000, 512)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Encode(ctx, m.layout, m.devices(), m.parity, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := Restore(ctx, m.layout, m.devices(), []uint64{1}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestProgressReachesTheEnd(t *testing.T) {
	m := newSample(t, 2, 1000, 512)
	last, end := int64(0), int64(m.layout.Blocks())*512
	if err := Encode(t.Context(), m.layout, m.devices(), m.parity, Options{Workers: 3, Progress: func(done, total int64) {
		if done < last || total != end {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	}}); err != nil || last != end {
		t.Errorf("ended at %d of %d, %v", last, end, err)
	}
}

func FuzzCompute(f *testing.F) {
	f.Add(uint64(256), uint32(4096), uint32(4096), uint32(2), int64(0), int64(16384))
	f.Add(uint64(math.MaxUint64), uint32(512), uint32(512), uint32(24), int64(math.MaxInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, blocks uint64, data, hash, roots uint32, offset, end int64) {
		s := &veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: data, HashBlockSize: hash, DataBlocks: blocks}
		g, err := s.Geometry(0)
		if err != nil {
			return
		}
		l, err := Compute(s, g, roots, offset, end)
		if err == nil && (l.Size() < 0 || l.Offset+l.Size() < l.Offset || l.rowSize()*int64(l.rows()) < int64(l.Blocks())) {
			t.Errorf("%+v", l)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, roots := range []uint32{2, 24} {
		b.Run(fmt.Sprint(roots), func(b *testing.B) {
			m := newSample(b, roots, 16<<10, 4096)
			b.SetBytes(int64(len(m.data)))
			for b.Loop() {
				if err := Encode(b.Context(), m.layout, m.devices(), m.parity, Options{Workers: 2}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
