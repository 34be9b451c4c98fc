package vmtest

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestCopyDiskKeepsContentAndHoles(t *testing.T) {
	dir := t.TempDir()
	source, copied := filepath.Join(dir, "a.raw"), filepath.Join(dir, "b.raw")
	file, err := os.Create(source)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const size = 64 << 20
	for _, offset := range []int64{0, 8 << 20, 40<<20 + 512} {
		if _, err := file.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), offset); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := CopyDisk(copied, source); err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(source)
	got, err := os.ReadFile(copied)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the copy differs (%d and %d bytes), %v", len(got), len(want), err)
	}
	info, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	if used := info.Sys().(*syscall.Stat_t).Blocks * 512; used > 1<<20 {
		t.Errorf("the copy uses %d bytes; its holes are filled", used)
	}
	if err := CopyDisk(copied, source); err == nil {
		t.Error("an existing file was overwritten")
	}
}

func TestChangesOfADisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, []byte{0, 1, 2, 3}, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := PatchDisk(path, 1, []byte{9, 8}); err != nil {
		t.Error(err)
	}
	if err := FlipBit(path, 3, 7); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, []byte{0, 9, 8, 0x83}) {
		t.Errorf("%x", got)
	}
	for name, err := range map[string]error{
		"patch over the end": PatchDisk(path, 3, []byte{1, 2}),
		"patch before":       PatchDisk(path, -1, []byte{1}),
		"flip after the end": FlipBit(path, 4, 0),
		"bit 8":              FlipBit(path, 0, 8),
		"no such file":       FlipBit(path+"x", 0, 0),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if info, _ := os.Stat(path); info.Size() != 4 {
		t.Errorf("%d bytes, want 4", info.Size())
	}
}
