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
	// kernelTakes, if not nil, refuses a stream at the place of s that open would read, and the kernel would not. It leaves s there.
	kernelTakes func(s *source) error
}

var formats = []format{
	{name: "gzip", magic: "\x1f\x8b", open: openGzip},
	{name: "xz", magic: "\xfd7zXZ\x00", open: openXz, kernelTakes: takesXz},
	{name: "zstd", magic: "\x28\xb5\x2f\xfd", open: openZstd},
	{name: "lz4", magic: "\x02\x21\x4c\x18", open: openLz4},
	{name: "lz4", magic: "\x04\x22\x4d\x18", open: func(*source) (io.Reader, error) {
		return nil, errors.New("it is in lz4's frame format, which no kernel unpacks (lz4 -l makes the other one)")
	}},
	{name: "bzip2", magic: "BZh", open: func(s *source) (io.Reader, error) { return bzip2.NewReader(s), nil }, kernelTakes: takesBzip2},
	{name: "lzma", magic: "\x5d\x00\x00", open: func(s *source) (io.Reader, error) {
		return lzma.ReaderConfig{DictCap: maxWindow}.NewReader(s)
	}},
	{name: "lzo", magic: "\x89\x4c\x5a\x4f", open: func(*source) (io.Reader, error) {
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
