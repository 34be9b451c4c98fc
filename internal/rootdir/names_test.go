package rootdir

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A file system that does not say what an entry is has it looked at.
func TestUnknownKind(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	record := func(name string) []byte {
		b := make([]byte, direntName, 32)
		b = append(b, name...)
		b = append(b, make([]byte, 24-len(b)+0)...)
		binary.NativeEndian.PutUint16(b[direntLength:], uint16(len(b)))
		b[direntType] = unix.DT_UNKNOWN
		return b
	}
	got := appendNames(nil, append(record("d"), record("x")...), int(file.Fd()))
	if !slices.Equal(got, []Name{{"d", true}, {"x", false}}) {
		t.Errorf("%v", got)
	}
}

func FuzzAppendNames(f *testing.F) {
	f.Add([]byte("........\x00\x00\x00\x00\x00\x00\x00\x00\x18\x00\x04name\x00"))
	f.Fuzz(func(_ *testing.T, records []byte) { appendNames(nil, records, -1) })
}
