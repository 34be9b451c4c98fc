package contents

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// unpack gives what Unpack writes.
func unpack(image []byte, offset int64) (compression string, text []byte, err error) {
	var b bytes.Buffer
	compression, n, err := Unpack(bytes.NewReader(image), offset, int64(len(image)), &b)
	if err == nil && n != int64(b.Len()) {
		panic("it counts otherwise")
	}
	return compression, b.Bytes(), err
}

func zstdOf(t testing.TB, content []byte, window int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestUnpackGivesTheArchive: all files hold the same tree, so what is unpacked has the same list.
func TestUnpackGivesTheArchive(t *testing.T) {
	for name, compression := range map[string]string{"gzip": "gzip", "xz": "xz", "zstd": "zstd", "lz4": "lz4", "bzip2": "bzip2", "lzma": "lzma"} {
		got, text, err := unpack(image(t, name), 0)
		if err != nil || got != compression {
			t.Errorf("%s: %s, %v", name, got, err)
			continue
		}
		if list, _, err := listOf(text); err != nil || list != mainTree {
			t.Errorf("%s: %v, %s", name, err, list)
		}
		// Itself, as it is; and behind something else, with zeros at the end.
		if got, same, err := unpack(text, 0); err != nil || got != Plain || !bytes.Equal(same, text) {
			t.Errorf("%s, not compressed: %s, %v", name, got, err)
		}
		if name == "lzma" || name == "bzip2" {
			continue // their readers take what follows for more of the stream
		}
		padded := slices.Concat(make([]byte, 512), image(t, name), make([]byte, 12))
		if _, same, err := unpack(padded, 512); err != nil || !bytes.Equal(same, text) {
			t.Errorf("%s, behind something: %v", name, err)
		}
	}
}

func TestUnpackRefusesWhatTheKernelDoes(t *testing.T) {
	gz := image(t, "gzip")
	var wide bytes.Buffer
	// A frame with a window of 160 MiB says so; nothing of it is held.
	wide.WriteString("\x28\xb5\x2f\xfd\x00\x8a\x01\x00\x00")
	for name, c := range map[string]struct {
		image []byte
		want  string
	}{
		"nothing":            {nil, "it is empty"},
		"text":               {[]byte("hello, world"), `it begins with "hello,", which no kernel knows`},
		"xz with CRC64":      {image(t, "xz-crc64-blocks"), "xz: the kernel checks no other sum than CRC32 (xz --check=crc32)"},
		"xz with SHA-256":    {image(t, "xz-sha256"), "xz: the kernel checks no other sum than CRC32"},
		"xz, cut":            {image(t, "xz")[:7], "xz: it ends too early"},
		"lz4 in frames":      {image(t, "lz4-frame"), "lz4: it is in lz4's frame format, which no kernel unpacks (lz4 -l makes the other one)"},
		"lzo":                {[]byte("\x89LZO\x00\r\n\x1a\n"), "lzo: lzo is not read here"},
		"a wide window":      {wide.Bytes(), "zstd: window size exceeded"},
		"two gzip members":   {slices.Concat(gz, gz), "gzip: more than one stream, or something else behind it at byte 292: the kernel unpacks the first one"},
		"two zstd frames":    {slices.Concat(image(t, "zstd"), image(t, "zstd")), "zstd: more than one stream, or something else behind it at byte 182"},
		"two xz streams":     {slices.Concat(image(t, "xz"), image(t, "xz")), "xz: more than one stream, or something else behind it at byte 300"},
		"two bzip2 streams":  {slices.Concat(image(t, "bzip2"), image(t, "bzip2")), "bzip2: more than one stream, the second at byte 227: the kernel"},
		"text behind lz4":    {append(image(t, "lz4"), "07070"...), "lz4: more than one stream, or something else behind it"},
		"gzip, cut":          {gz[:len(gz)-9], "gzip: it ends too early"},
		"gzip, a wrong sum":  {slices.Concat(gz[:len(gz)-8], []byte{0, 0, 0, 0}, gz[len(gz)-4:]), "gzip: "},
		"zstd, cut":          {image(t, "zstd")[:100], "zstd: it ends too early"},
		"bzip2, cut":         {image(t, "bzip2")[:200], "bzip2: it ends too early"},
		"lzma, cut":          {image(t, "lzma")[:200], "lzma: it ends too early"},
		"text behind zstd":   {append(image(t, "zstd"), 'x'), "something else behind it at byte 182"},
		"skippable in front": {append([]byte("\x50\x2a\x4d\x18\x00\x00\x00\x00"), image(t, "zstd")...), "which no kernel knows"},
	} {
		_, _, err := unpack(c.image, 0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	// What is just small enough.
	for _, window := range []int{8 << 20, 128 << 20} {
		if _, text, err := unpack(zstdOf(t, bytes.Repeat([]byte("y"), 1<<20), window), 0); err != nil || len(text) != 1<<20 {
			t.Errorf("a window of %d: %v", window, err)
		}
	}
}

// FuzzUnpack: what is unpacked is what the reader of the list sees, and nothing is both.
func FuzzUnpack(f *testing.F) {
	for _, name := range []string{"gzip", "xz", "zstd", "lz4", "bzip2", "lzma", "lz4-frame", "xz-sha256"} {
		f.Add(image(f, name))
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		var b limited
		compression, n, err := Unpack(bytes.NewReader(image), 0, int64(len(image)), &b)
		if err != nil || n > 1<<20 {
			return
		}
		if compression == "gzip" {
			r, err := gzip.NewReader(bytes.NewReader(image))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(r); err == nil && !bytes.Equal(text, b.Bytes()) {
				t.Errorf("%d bytes, and the library has %d", b.Len(), len(text))
			}
		}
	})
}

// limited keeps no more than the fuzz target compares.
type limited struct{ bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	if l.Len()+len(b) > 1<<20 {
		return len(b), nil
	}
	return l.Buffer.Write(b)
}

func TestUnpackHasNoSecondStreamInABlockOfBzip2(t *testing.T) {
	// The scan goes over the seams of its windows.
	long := append(image(t, "bzip2"), make([]byte, 1<<17)...)
	for _, at := range []int{1<<16 - 5, 1 << 16, 1<<16 + 1, 1<<17 - 3} {
		second := bytes.Clone(long)
		copy(second[at:], "BZh91AY&SY")
		if _, _, err := unpack(second, 0); err == nil || !strings.Contains(err.Error(), "more than one stream, the second") {
			t.Errorf("at %d: %v", at, err)
		}
	}
}
