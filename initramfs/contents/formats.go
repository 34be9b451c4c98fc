package contents

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// format is a compression that a kernel can unpack (lib/decompress.c).
type format struct {
	name  string
	magic string
	// open gives what the stream at the place of s holds. When that has been read to its end, s is
	// behind the stream.
	open func(s *source) (io.Reader, error)
}

var formats = []format{
	{"gzip", "\x1f\x8b", openGzip},
	{"xz", "\xfd7zXZ\x00", openXz},
	{"zstd", "\x28\xb5\x2f\xfd", openZstd},
	{"lz4", "\x02\x21\x4c\x18", openLz4},
	{"lz4", "\x04\x22\x4d\x18", func(*source) (io.Reader, error) {
		return nil, errors.New("it is in lz4's frame format, which no kernel unpacks (lz4 -l makes the other one)")
	}},
	{"bzip2", "BZh", func(s *source) (io.Reader, error) { return bzip2.NewReader(s), nil }},
	{"lzma", "\x5d\x00\x00", func(s *source) (io.Reader, error) {
		return lzma.ReaderConfig{DictCap: maxWindow}.NewReader(s)
	}},
	{"lzo", "\x89\x4c\x5a\x4f", func(*source) (io.Reader, error) {
		return nil, errors.New("lzo is not read here (lzop -d unpacks it)")
	}},
}

const longestMagic = "070701"

// formatOf gives the compression that begins with these bytes, nil if none is known.
func formatOf(magic []byte) *format {
	for i := range formats {
		if bytes.HasPrefix(magic, []byte(formats[i].magic)) {
			return &formats[i]
		}
	}
	return nil
}

func openGzip(s *source) (io.Reader, error) {
	r, err := gzip.NewReader(s)
	if err != nil {
		return nil, err
	}
	// The kernel takes one member, and looks for an archive behind it.
	r.Multistream(false)
	return r, nil
}

// bound refuses a window or dictionary before memory is taken for it.
func bound(what string, size uint64) error {
	if size > maxWindow {
		return fmt.Errorf("a %s of %d bytes, more than %d", what, size, maxWindow)
	}
	return nil
}
