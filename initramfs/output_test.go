package initramfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutputReplacesTheTargetOfALink(t *testing.T) {
	o := testOptions(t)
	target := o.Output
	writeFile(t, target, "earlier image")
	o.Output = filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, o.Output); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(o); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(o.Output); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	readImage(t, target, CompressionZstd)
}

func TestUnpackIsBounded(t *testing.T) {
	for _, suffix := range []string{".ko.xz", ".ko.zst", ".ko.gz"} {
		packed := packFor(t, "x"+suffix, strings.Repeat("x", 1000))
		if got, err := unpack([]byte(packed), suffix, 1000); err != nil || len(got) != 1000 {
			t.Errorf("%s: %d bytes, %v", suffix, len(got), err)
		}
		if _, err := unpack([]byte(packed), suffix, 999); err == nil {
			t.Errorf("%s: more than the limit was accepted", suffix)
		}
		if _, err := unpack([]byte("junk"), suffix, 1000); err == nil {
			t.Errorf("%s: junk was accepted", suffix)
		}
	}
	if _, err := unpack(nil, ".ko.lz4", 1); err == nil {
		t.Error("an unknown suffix was accepted")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\xfd7zXZ\x00"), 0)
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00"), 1)
	f.Add([]byte("\x1f\x8b\x08\x00"), 2)
	f.Fuzz(func(t *testing.T, content []byte, kind int) {
		suffix := []string{".ko.xz", ".ko.zst", ".ko.gz"}[uint(kind)%3]
		if got, err := unpack(content, suffix, 1<<16); err == nil && len(got) > 1<<16 {
			t.Fatalf("%d bytes", len(got))
		}
	})
}
