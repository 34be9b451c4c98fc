package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// job is what both programs are told to do. The arguments are those of
// veritysetup; every file name stands for one in the bench's directory.
type job struct {
	arguments []string
	// prepare is run by ours before the first round, to make what the job reads.
	prepare []string
	// fresh files are removed before every run.
	fresh []string
	// without is the same job less the part that is asked about: its time is
	// taken off, in the same round.
	without []string
	sparse  bool
	// hashes says that the time is that of hashing the data once.
	hashes bool
	// alone: the real program is not run.
	alone bool
}

const (
	salt = "--salt=00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"
	uuid = "--uuid=8f3c1d2e-0b4a-4c5d-9e6f-7a8b9c0d1e2f"
)

var formatData = []string{"format", salt, uuid, "--root-hash-file=root.txt", "data.img", "hash.img"}

func formatWithRoots(roots int) []string {
	return append([]string{"--fec-device=fec.img", fmt.Sprintf("--fec-roots=%d", roots)}, formatData...)
}

var jobTable = map[string]job{
	"format": {arguments: formatData, fresh: []string{"hash.img"}, hashes: true},
	"verify": {
		arguments: []string{"verify", "--root-hash-file=root.txt", "data.img", "hash.img"},
		prepare:   formatData, hashes: true,
	},
	"fec2":  {arguments: formatWithRoots(2), without: formatData, fresh: []string{"hash.img", "fec.img"}},
	"fec24": {arguments: formatWithRoots(24), without: formatData, fresh: []string{"hash.img", "fec.img"}},
	// The same with a hole of 64 times the size: memory must not grow.
	"sparse": {
		arguments: []string{"format", salt, uuid, "sparse.img", "hash.img"}, fresh: []string{"hash.img"},
		sparse: true, hashes: true, alone: true,
	},
}

// makeData writes the data file, once, with bytes that nothing can compress,
// and leaves it in the page cache.
func (b *bench) makeData() error {
	name := filepath.Join(b.directory, "data.img")
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	random := rand.NewChaCha8([32]byte{1})
	chunk := make([]byte, 1<<20)
	for written := int64(0); written < b.size; written += int64(len(chunk)) {
		_, _ = random.Read(chunk) // never fails
		if _, err := file.Write(chunk); err != nil {
			return err
		}
	}
	return file.Sync()
}

// makeHole makes sparse.img.
func (b *bench) makeHole() (int64, error) {
	file, err := os.OpenFile(filepath.Join(b.directory, "sparse.img"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	size := 64 * b.size
	return size, file.Truncate(size)
}
