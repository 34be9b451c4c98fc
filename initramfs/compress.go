package initramfs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// zstdWindow is the window of a zstd image in bytes. The kernel allocates a
// whole window while it unpacks (lib/decompress_unzstd.c), and 8 MiB is what
// "zstd -19" uses and every decoder has to accept (RFC 8878, section 3.1.1.1.2).
const zstdWindow = 8 << 20

// newCompressor gives a writer that packs into w. Close ends the stream, frees
// what belongs to it and leaves w open; it has to be called after an error as
// well. The result depends on what is written only (and, with a program, on its
// version).
func newCompressor(o Options, w io.Writer) (io.WriteCloser, error) {
	switch compressionOf(o) {
	case CompressionZstd:
		if o.ZstdProgram != "" {
			return startZstdProgram(o.ZstdProgram, w)
		}
		return zstd.NewWriter(w,
			zstd.WithEncoderLevel(zstd.SpeedBestCompression),
			zstd.WithWindowSize(zstdWindow),
			zstd.WithEncoderConcurrency(1))
	case CompressionGzip:
		// The header of compress/gzip has no time and no name unless set.
		return gzip.NewWriterLevel(w, gzip.BestCompression)
	case CompressionNone:
		return unpackedWriter{w}, nil
	}
	return nil, unknownCompression(o.Compression)
}

func unknownCompression(name string) error {
	return fmt.Errorf("unknown compression %q (known: %s, %s, %s)", name, CompressionZstd, CompressionGzip, CompressionNone)
}

func compressionOf(o Options) string {
	if o.Compression == "" {
		return CompressionZstd
	}
	return o.Compression
}

// zstdProgram is a running zstd(1). Its level 19 searches for the cheapest
// sequence of matches, which the library does not, and packs about 12 % better.
type zstdProgram struct {
	io.WriteCloser
	command  *exec.Cmd
	messages *bytes.Buffer
}

// startZstdProgram runs one thread, since the number of threads shows in the
// result.
func startZstdProgram(program string, w io.Writer) (*zstdProgram, error) {
	z := &zstdProgram{command: exec.Command(program, "-q", "-19", "--single-thread", "-c"), messages: &bytes.Buffer{}}
	z.command.Stdout = w
	z.command.Stderr = z.messages
	input, err := z.command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", program, err)
	}
	z.WriteCloser = input
	if err := z.command.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", program, cause(err))
	}
	return z, nil
}

// Close ends the input and waits for the rest of the output.
func (z *zstdProgram) Close() error {
	err := z.WriteCloser.Close()
	if waiting := z.command.Wait(); waiting != nil {
		err = waiting
	}
	if err == nil {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimSpace(z.messages.String()), "\n")
	if first == "" {
		return fmt.Errorf("run %s: %w", z.command.Path, err)
	}
	return fmt.Errorf("run %s: %w: %s", z.command.Path, err, first)
}

type unpackedWriter struct{ io.Writer }

func (unpackedWriter) Close() error { return nil }

// counter counts the bytes that reach w, and keeps the first error: mkuimage
// passes errors on in words of its own.
type counter struct {
	w     io.Writer
	count int64
	err   error
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.count += int64(n)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}
