package initramfs

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// zstdWindow is the window of a zstd image in bytes. The kernel allocates a
// whole window while it unpacks (lib/decompress_unzstd.c), and 8 MiB is what
// "zstd -19" uses and every decoder has to accept (RFC 8878, section 3.1.1.1.2).
const zstdWindow = 8 << 20

// xzDictionary is in bytes; the kernel allocates all of it while it unpacks.
const xzDictionary = 16 << 20

// newCompressor gives a writer that packs into w. Close ends the stream, frees
// what belongs to it and leaves w open; it has to be called after an error as
// well. The result depends on what is written only (and, with a program, on its
// version).
func newCompressor(o Options, w io.Writer) (io.WriteCloser, error) {
	if len(o.Compressor) > 0 {
		return startCompressor(o.Stop, o.Compressor, w)
	}
	switch compressionOf(o) {
	case CompressionZstd:
		return zstd.NewWriter(w,
			zstd.WithEncoderLevel(zstd.SpeedBestCompression),
			zstd.WithWindowSize(zstdWindow),
			zstd.WithEncoderConcurrency(1))
	case CompressionXz:
		// The kernel checks CRC32 and no other sum (lib/xz/xz_dec_stream.c).
		return xz.WriterConfig{CheckSum: xz.CRC32, DictCap: xzDictionary}.NewWriter(w)
	case CompressionGzip:
		// The header of compress/gzip has no time and no name unless set.
		return gzip.NewWriterLevel(w, gzip.BestCompression)
	case CompressionNone:
		return unpackedWriter{w}, nil
	}
	return nil, unknownCompression(o.Compression)
}

func unknownCompression(name string) error {
	return fmt.Errorf("unknown compression %q (known: %s, %s, %s, %s)", name, CompressionZstd, CompressionXz, CompressionGzip, CompressionNone)
}

func compressionOf(o Options) string {
	if o.Compression == "" {
		return CompressionZstd
	}
	return o.Compression
}

type unpackedWriter struct{ io.Writer }

func (unpackedWriter) Close() error { return nil }

// counter counts the bytes that reach w, and keeps the first error: mkuimage
// passes errors on in words of its own.
type counter struct {
	w     io.Writer
	count int64
	err   error

	stop     context.Context         // ends the writing when done, if not nil
	progress func(done, total int64) // is told, if not nil
	total    int64
}

func (c *counter) Write(b []byte) (n int, err error) {
	if err = stopped(c.stop); err == nil {
		n, err = c.w.Write(b)
	}
	c.count += int64(n)
	if c.progress != nil {
		c.progress(c.count, c.total)
	}
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

// stopped gives the reason why the work has to end, nil if it need not.
func stopped(c context.Context) error {
	if c == nil || c.Err() == nil {
		return nil
	}
	return context.Cause(c)
}
