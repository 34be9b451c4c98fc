package observe

import (
	"bytes"
	"errors"
	"testing"

	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/hashtree/hashtreetest"
	"github.com/preroot/preroot/internal/veritytable"
)

func TestCheckSamples(t *testing.T) {
	s := veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 512, HashBlockSize: 512, DataBlocks: 100, Salt: []byte{1}}
	content := bytes.Repeat([]byte("0123456789abcdef"), 100*512/16)
	built, root := hashtreetest.Build(s, 0, content)
	check := func(root, data, hash []byte) (bad []uint64) {
		samples := CheckSamples(&s, 0, root, bytes.NewReader(data), bytes.NewReader(hash))
		if len(samples) != 3 {
			t.Fatalf("%+v", samples)
		}
		for _, sample := range samples {
			if sample.Err != nil {
				bad = append(bad, sample.Block)
			}
		}
		return bad
	}
	damaged := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	// 100 data blocks have 7 leaf blocks below a top block, which is block 1 behind the superblock.
	for name, test := range map[string]struct {
		root, data, hash []byte
		want             int
	}{
		"good":            {root, content, built, 0},
		"wrong root hash": {make([]byte, 32), content, built, 3},
		"top block":       {root, content, damaged(built, 512+5), 3},
		"last leaf block": {root, content, damaged(built, 8*512+5), 1},
		"last data block": {root, damaged(content, 99*512), built, 1},
		"another block":   {root, damaged(content, 42*512), built, 0},
		"short data":      {root, content[:99*512], built, 1},
	} {
		if bad := check(test.root, test.data, test.hash); len(bad) != test.want {
			t.Errorf("%s: bad %v, want %d", name, bad, test.want)
		}
	}
	err := CheckSamples(&s, 0, make([]byte, 32), bytes.NewReader(content), bytes.NewReader(built))[0].Err
	if mismatch, ok := errors.AsType[*hashtree.MismatchError](err); !ok || !mismatch.TopLevel {
		t.Errorf("%v", err)
	}
}
