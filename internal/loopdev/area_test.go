package loopdev

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func makeImage(t *testing.T, size int64) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAreasAreChecked(t *testing.T) {
	image := makeImage(t, 8192+100)
	for _, test := range []struct {
		offset, size int64
		block        uint32
		want         string // part of the error; empty if the area is good
	}{
		{0, 0, 512, ""},
		{0, 8192, 4096, ""},
		{512, 7680, 1024, ""},
		{7680, 512, 512, ""},
		{7680, 0, 512, ""},
		{-512, 512, 512, "sectors"},
		{0, -512, 512, "sectors"},
		{100, 512, 512, "sectors"},
		{512, 100, 512, "sectors"},
		{math.MinInt64, 0, 512, "sectors"},
		{math.MaxInt64 - 511, 512, 512, "not inside its 8292 bytes"},
		{512, math.MaxInt64 - 511, 512, "not inside its 8292 bytes"},
		{8192, 512, 512, "not inside"},
		{8192, 0, 512, "not inside"}, // a hundred bytes are no sector
		{512, 8192, 512, "not inside"},
		{1 << 40, 0, 512, "not inside"},
		{0, 0, 0, "block size 0"},
		{0, 0, 256, "block size"},
		{0, 0, 768, "block size"},
		{0, 0, 8192, "block size"},
		{0, 0, 1 << 31, "block size"},
	} {
		err := checkArea(image, test.offset, test.size, test.block)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d+%d in blocks of %d: %v, want %q", test.offset, test.size, test.block, err, test.want)
		}
		if test.want == "" {
			continue
		}
		if device, err := Attach(image, test.offset, test.size, test.block); err == nil || !strings.Contains(err.Error(), image.Name()) {
			t.Errorf("%d+%d in blocks of %d: %v, %v", test.offset, test.size, test.block, device, err)
		}
	}
}

func TestAnEmptyFileHasNoArea(t *testing.T) {
	if err := checkArea(makeImage(t, 0), 0, 0, 512); err == nil {
		t.Error("an empty file was taken")
	}
}

func TestOnlyRegularFilesHaveASizeToCheck(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := checkArea(file, 4096, 4096, 512); err != nil {
		t.Error(err)
	}
}

func TestAClosedImageIsRefused(t *testing.T) {
	image := makeImage(t, 512)
	image.Close()
	if device, err := Attach(image, 0, 0, 512); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v, %v", device, err)
	}
}

func TestErrorsSayWhatWasRefused(t *testing.T) {
	err := &Error{Operation: "configure loop device", Image: "/x/tool.raw", Errno: unix.EBUSY}
	if err.Error() != "configure loop device for /x/tool.raw: device or resource busy" || !errors.Is(err, unix.EBUSY) {
		t.Error(err)
	}
}

func TestNumber(t *testing.T) {
	if got := (&Device{Major: 7, Minor: 1048575}).Number(); got != "7:1048575" {
		t.Error(got)
	}
}

func FuzzCheckArea(f *testing.F) {
	f.Add(int64(0), int64(0), uint32(512))
	f.Add(int64(math.MaxInt64), int64(math.MinInt64), uint32(math.MaxUint32))
	f.Fuzz(func(t *testing.T, offset, size int64, block uint32) {
		const length = 1 << 20
		image := makeImage(t, length)
		if err := checkArea(image, offset, size, block); err != nil {
			return
		}
		if offset < 0 || size < 0 || offset > length-512 || size > length-offset || block < 512 || block > 4096 {
			t.Errorf("%d+%d in blocks of %d was taken", offset, size, block)
		}
	})
}
