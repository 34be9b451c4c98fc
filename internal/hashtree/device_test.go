package hashtree_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/hashtree/hashtreetest"
	"github.com/preroot/preroot/internal/veritytable"
)

// disk is a hash device in memory; it grows with what is written.
type disk struct{ content []byte }

func (d *disk) WriteAt(b []byte, offset int64) (int, error) {
	if need := int(offset) + len(b); need > len(d.content) {
		d.content = append(d.content, make([]byte, need-len(d.content))...)
	}
	return copy(d.content[offset:], b), nil
}

func source(b []byte) hashtree.Source {
	return hashtree.ReaderSource(bytes.NewReader(b), int64(len(b)))
}

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// TestBuildMakesTheSameTree compares with a plain implementation, for all kinds of trees.
func TestBuildMakesTheSameTree(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	algorithms := []string{"sha256", "sha1", "sha512", "sha384", "md5", "sha3-224", "blake2b-512", "blake2s-256", "rmd160", "md4"}
	for i := range 120 {
		s := veritytable.Superblock{
			HashType: uint32(random.IntN(2)), Algorithm: algorithms[i%len(algorithms)],
			DataBlockSize: 512 << random.IntN(5), HashBlockSize: 512 << random.IntN(5),
			DataBlocks: 1 + random.Uint64N(600), Salt: randomBytes(random, random.IntN(80)), Bare: i%5 == 0,
		}
		offset := int64(random.IntN(9)) * 512
		data := randomBytes(random, int(s.DataBlocks)*int(s.DataBlockSize))
		want, root := hashtreetest.Build(s, offset, data)
		// Build does not write the superblock.
		if !s.Bare {
			clear(want[offset : offset+veritytable.SuperblockSize])
		}
		for _, workers := range []int{0, 1, 2, 7} {
			var d disk
			got, err := hashtree.Build(t.Context(), &s, offset, source(data), &d, hashtree.Options{Workers: workers})
			if err != nil || !bytes.Equal(got, root) {
				t.Fatalf("%+v at %d, %d workers: root %x, want %x, %v", s, offset, workers, got, root, err)
			}
			if d.content = append(d.content, make([]byte, max(0, len(want)-len(d.content)))...); !bytes.Equal(d.content, want) {
				t.Fatalf("%+v at %d, %d workers: another tree", s, offset, workers)
			}
		}
		result, err := hashtree.Verify(t.Context(), &s, offset, root, source(data), source(want), hashtree.VerifyOptions{})
		if err != nil || !result.OK() || !bytes.Equal(result.Root, root) {
			t.Fatalf("%+v at %d does not verify: %+v, %v", s, offset, result, err)
		}
	}
}

// sample is a tree of three levels.
type sample struct {
	s          veritytable.Superblock
	data, tree []byte
	root       []byte
	geometry   *veritytable.Geometry
}

func newSample(t testing.TB) *sample {
	t.Helper()
	m := &sample{s: veritytable.Superblock{
		HashType: 1, Algorithm: "sha1", DataBlockSize: 512, HashBlockSize: 512, DataBlocks: 700, Salt: []byte("salt"),
	}}
	m.data = randomBytes(rand.New(rand.NewPCG(3, 4)), 700*512)
	m.tree, m.root = hashtreetest.Build(m.s, 0, m.data)
	var err error
	if m.geometry, err = m.s.Geometry(0); err != nil {
		t.Fatal(err)
	}
	if len(m.geometry.Levels) != 3 {
		t.Fatalf("%d levels", len(m.geometry.Levels))
	}
	return m
}

func (m *sample) verify(t testing.TB, limit int) *hashtree.Result {
	t.Helper()
	var results []*hashtree.Result
	for _, workers := range []int{1, 3} {
		r, err := hashtree.Verify(context.Background(), &m.s, 0, m.root, source(m.data), source(m.tree),
			hashtree.VerifyOptions{Options: hashtree.Options{Workers: workers}, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	if a, b := fmt.Sprint(results[0].Failures, results[0].Count), fmt.Sprint(results[1].Failures, results[1].Count); a != b {
		t.Errorf("one worker found %s, three found %s", a, b)
	}
	return results[0]
}

func describe(failures []hashtree.Failure) string {
	var text []string
	for _, f := range failures {
		text = append(text, fmt.Sprintf("%v %d/%d@%d", f.Kind, f.Level, f.Block, f.At))
	}
	return strings.Join(text, ", ")
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	// The tree: superblock in block 0, top in 1, level 1 in 2 to 4, leaves in 5 to 48; 16 digests of
	// 20 bytes a block, 32 bytes apart.
	for name, test := range map[string]struct {
		change func(m *sample)
		want   string
	}{
		"data block":            {func(m *sample) { m.data[5*512+1]++ }, "mismatch -1/5@2560"},
		"first data block":      {func(m *sample) { m.data[0]++ }, "mismatch -1/0@0"},
		"last data block":       {func(m *sample) { m.data[699*512+511]++ }, "mismatch -1/699@357888"},
		"two data blocks":       {func(m *sample) { m.data[300*512]++; m.data[5*512]++ }, "mismatch -1/5@2560, mismatch -1/300@153600"},
		"leaf":                  {func(m *sample) { m.tree[5*512+3*32]++ }, "mismatch -1/3@1536, mismatch 0/5@2560"},
		"level 1":               {func(m *sample) { m.tree[3*512+2*32]++ }, "mismatch 0/23@11776, mismatch 1/3@1536"},
		"top":                   {func(m *sample) { m.tree[1*512+1*32]++ }, "mismatch 1/3@1536"},
		"padding of a digest":   {func(m *sample) { m.tree[5*512+3*32+25]++ }, "spare 0/5@2676, mismatch 0/5@2560"},
		"rest of the last leaf": {func(m *sample) { m.tree[48*512+500]++ }, "spare 0/48@24960, mismatch 0/48@24576"},
		"rest of the top":       {func(m *sample) { m.tree[1*512+400]++ }, "spare 2/1@608"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newSample(t)
			test.change(m)
			r := m.verify(t, 10)
			if got := describe(r.Failures); got != test.want || !r.Complete {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if int(r.Count) != len(r.Failures) || r.OK() {
				t.Errorf("count %d, ok %v", r.Count, r.OK())
			}
			if top := name == "top" || name == "rest of the top"; r.RootMatches == top {
				t.Errorf("root matches: %v", r.RootMatches)
			}
			if f := r.Failures[0]; !strings.Contains(f.String(), fmt.Sprintf("bytes %d to %d", f.Offset, f.Offset+f.Size-1)) {
				t.Errorf("text %q", f)
			}
		})
	}
}

func TestWrongRootHash(t *testing.T) {
	m := newSample(t)
	right := m.root
	m.root = bytes.Repeat([]byte{7}, 20)
	r := m.verify(t, 1)
	if r.Count != 0 || r.RootMatches || r.OK() || !bytes.Equal(r.Root, right) {
		t.Errorf("%+v", r)
	}
	if _, err := hashtree.Verify(t.Context(), &m.s, 0, right[1:], source(m.data), source(m.tree), hashtree.VerifyOptions{}); err == nil {
		t.Error("a root hash of 19 bytes is taken")
	}
}

func TestLimitKeepsTheFirst(t *testing.T) {
	m := newSample(t)
	for _, block := range []int{650, 10, 400, 20, 30} {
		m.data[block*512]++
	}
	m.tree[5*512]++ // leaf with the digest of block 0
	r := m.verify(t, 2)
	if got := describe(r.Failures); got != "mismatch -1/0@0, mismatch -1/10@5120" || r.Count != 7 {
		t.Errorf("%s of %d", got, r.Count)
	}
	highest, all := r.Highest()
	if describe(highest) != "mismatch 0/5@2560" || !all {
		t.Errorf("highest: %s, %v", describe(highest), all)
	}
}

func TestShortDevices(t *testing.T) {
	for name, test := range map[string]struct {
		change func(m *sample)
		want   string
		short  int64
	}{
		"data":         {func(m *sample) { m.data = m.data[:600*512+100] }, "unreadable -1/600@307200", 600 * 512},
		"no data":      {func(m *sample) { m.data = nil }, "unreadable -1/0@0", 0},
		"damaged data": {func(m *sample) { m.data = m.data[:600*512]; m.data[512]++ }, "mismatch -1/1@512, unreadable -1/600@307200", 600 * 512},
		"leaves":       {func(m *sample) { m.tree = m.tree[:20*512+1] }, "mismatch -1/240@122880, unreadable 0/20@10240", 20 * 512},
		"no tree":      {func(m *sample) { m.tree = m.tree[:512] }, "mismatch -1/0@0, unreadable 0/5@2560", 5 * 512},
	} {
		t.Run(name, func(t *testing.T) {
			m := newSample(t)
			test.change(m)
			r := m.verify(t, 10)
			if got := describe(r.Failures); got != test.want || r.Complete || r.OK() {
				t.Errorf("got %s, complete %v", got, r.Complete)
			}
			if r.Short == nil || r.Short.Offset != test.short || !errors.Is(r.Short.Err, io.ErrUnexpectedEOF) {
				t.Errorf("short: %v", r.Short)
			}
		})
	}
}

// torn fails to read some blocks of 512 bytes.
type torn struct {
	hashtree.Source
	blocks []int64
}

var errTorn = errors.New("input/output error")

func (s *torn) Use(offset int64, n int, use func(b []byte) error) error {
	for _, block := range s.blocks {
		if offset < (block+1)*512 && block*512 < offset+int64(n) {
			return fmt.Errorf("read: %w", errTorn)
		}
	}
	return s.Source.Use(offset, n, use)
}

func TestUnreadableBlocks(t *testing.T) {
	m := newSample(t)
	r, err := hashtree.Verify(t.Context(), &m.s, 0, m.root, &torn{source(m.data), []int64{15, 17}}, &torn{source(m.tree), []int64{6, 3}},
		hashtree.VerifyOptions{Options: hashtree.Options{Workers: 2}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	want := "unreadable -1/15@7680, unreadable 0/6@3072, unreadable -1/17@8704, unreadable 1/3@1536"
	if got := describe(r.Failures); got != want || !r.Complete || !errors.Is(r.Failures[0].Err, errTorn) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err = hashtree.Build(t.Context(), &m.s, 0, &torn{source(m.data), []int64{300}}, &disk{}, hashtree.Options{Workers: 3})
	if failed, ok := errors.AsType[*hashtree.Error](err); !ok || failed.Device != "data" || failed.Offset != 300*512 || !errors.Is(err, errTorn) {
		t.Errorf("build: %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) WriteAt([]byte, int64) (int, error) { return 0, errors.New("no space left on device") }

func TestFullDisk(t *testing.T) {
	m := newSample(t)
	_, err := hashtree.Build(t.Context(), &m.s, 0, source(m.data), fullDisk{}, hashtree.Options{Workers: 2})
	failed, ok := errors.AsType[*hashtree.Error](err)
	if !ok || failed.Operation != "write" || failed.Device != "hash" || failed.Offset != 5*512 {
		t.Errorf("error %v", err)
	}
}

func TestCancel(t *testing.T) {
	m := newSample(t)
	ctx, cancel := context.WithCancel(t.Context())
	options := hashtree.Options{Workers: 2, Progress: func(done, total int64) {
		if total != 700*512 || done <= 0 {
			t.Errorf("progress %d of %d", done, total)
		}
		cancel()
	}}
	if _, err := hashtree.Build(ctx, &m.s, 0, source(m.data), &disk{}, options); !errors.Is(err, context.Canceled) {
		t.Errorf("build: %v", err)
	}
	if _, err := hashtree.Verify(ctx, &m.s, 0, m.root, source(m.data), source(m.tree), hashtree.VerifyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("verify: %v", err)
	}
}

// hole has more zeros than fit in memory.
type hole struct {
	size int64
	zero []byte
}

func (h hole) Size() int64 { return h.size }

func (h hole) Use(offset int64, n int, use func(b []byte) error) error { return use(h.zero[:n]) }

// TestMemoryDoesNotGrow: Build allocates nothing for a single block.
func TestMemoryDoesNotGrow(t *testing.T) {
	allocated := func(blocks uint64) float64 {
		s := veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: blocks}
		return testing.AllocsPerRun(1, func() {
			_, err := hashtree.Build(t.Context(), &s, 0, hole{int64(blocks) * 4096, make([]byte, 1<<20)}, nowhere{}, hashtree.Options{Workers: 2})
			if err != nil {
				t.Error(err)
			}
		})
	}
	// A few for each 512 KiB that a goroutine takes, and none for a block.
	small, large := allocated(1<<8), allocated(1<<14)
	if large > small+4*126 {
		t.Errorf("%.0f allocations for 1 MiB, %.0f for 64 MiB", small, large)
	}
}

type nowhere struct{}

func (nowhere) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }

func TestSuperblockIsChecked(t *testing.T) {
	m := newSample(t)
	for name, change := range map[string]func(s *veritytable.Superblock){
		"no blocks":  func(s *veritytable.Superblock) { s.DataBlocks = 0 },
		"algorithm":  func(s *veritytable.Superblock) { s.Algorithm = "crc32" },
		"block size": func(s *veritytable.Superblock) { s.DataBlockSize = 513 },
	} {
		s := m.s
		change(&s)
		if _, err := hashtree.Build(t.Context(), &s, 0, source(m.data), &disk{}, hashtree.Options{}); err == nil {
			t.Errorf("%s: built", name)
		}
		if _, err := hashtree.Verify(t.Context(), &s, 0, m.root, source(m.data), source(m.tree), hashtree.VerifyOptions{}); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestEveryAlgorithmHasItsSize(t *testing.T) {
	for _, name := range []string{"md4", "md5", "ripemd160", "rmd160", "sha1", "sha224", "sha256", "sha384", "sha512", "sha512-224",
		"sha512-256", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "blake2b-512", "blake2s-256", "SHA256"} {
		newHash, ok := hashtree.NewHash(name)
		size, known := veritytable.DigestSize(name)
		if !ok || !known || newHash().Size() != size {
			t.Errorf("%s: %v, %v, %d bytes", name, ok, known, size)
		}
	}
	for _, name := range []string{"", "sm3", "whirlpool", "blake2b-256", "sha256 "} {
		if _, ok := hashtree.NewHash(name); ok {
			t.Errorf("%q is known", name)
		}
	}
}

// FuzzVerify: whatever superblock and tree say, there is a result or an error.
func FuzzVerify(f *testing.F) {
	m := newSample(f)
	f.Add(m.tree, m.data[:8<<10])
	f.Add(m.tree[:512], []byte{})
	f.Fuzz(func(t *testing.T, tree, data []byte) {
		s, err := veritytable.ParseSuperblock(tree)
		if err != nil || s.DataBlocks > 1<<20 {
			return
		}
		size, ok := veritytable.DigestSize(s.Algorithm)
		if !ok {
			return
		}
		r, err := hashtree.Verify(t.Context(), s, 0, make([]byte, size), source(data), source(tree), hashtree.VerifyOptions{Limit: 3})
		if err == nil && (len(r.Failures) > 3 || r.OK() && r.Count > 0 || !r.Complete && r.Short == nil) {
			t.Errorf("result %+v", r)
		}
	})
}
