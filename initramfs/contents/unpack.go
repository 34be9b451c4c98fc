package contents

import (
	"errors"
	"fmt"
	"io"
)

// Unpack writes to w what the stream that begins at offset holds, and gives its compression and what it holds in bytes. It takes what the kernel's own
// unpackers take, which is less than the programs of the same names do: one stream, and nothing but zeros behind it. size is that of the file.
func Unpack(r io.ReaderAt, offset, size int64, w io.Writer) (compression string, unpacked int64, err error) {
	s := newSource(r, size)
	s.seek(offset)
	magic, err := s.peek(len(longestMagic))
	if err != nil {
		return "", 0, err
	}
	if len(magic) == 0 {
		return "", 0, errors.New("it is empty")
	}
	if isCpio(magic) {
		unpacked, err = io.Copy(w, s)
		return Plain, unpacked, err
	}
	format := formatOf(magic)
	if format == nil {
		return "", 0, fmt.Errorf("it begins with %q, which no kernel knows as a compression", magic)
	}
	unpacked, err = unpackStream(format, s, w)
	switch {
	case err == nil:
		return format.name, unpacked, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it ends too early")
	}
	return format.name, unpacked, fmt.Errorf("%s: %w", format.name, err)
}

func unpackStream(format *format, s *source, w io.Writer) (unpacked int64, err error) {
	if format.kernelTakes != nil {
		if err := format.kernelTakes(s); err != nil {
			return 0, err
		}
	}
	stream, err := format.open(s)
	if err != nil {
		return 0, err
	}
	unpacked, err = io.Copy(w, io.LimitReader(stream, maxUnpacked+1))
	if err == nil && unpacked > maxUnpacked {
		err = fmt.Errorf("more than %d bytes unpacked", int64(maxUnpacked))
	}
	if closer, ok := stream.(io.Closer); ok {
		if closing := closer.Close(); err == nil {
			err = closing
		}
	}
	if err != nil {
		return unpacked, err
	}
	if err := s.skipZeros(); err != nil {
		return unpacked, err
	}
	if rest, err := s.peek(1); err != nil || len(rest) > 0 {
		return unpacked, errors.Join(err, fmt.Errorf("more than one stream, or something else behind it at byte %d: the kernel unpacks the first one and stops there", s.offset()))
	}
	return unpacked, nil
}

// takesXz looks at the kind of sum: the kernel knows none and CRC32 (lib/xz/xz_dec_stream.c).
func takesXz(s *source) error {
	header, err := s.Peek(8)
	if err != nil {
		return early(err)
	}
	if header[7] > 1 {
		return errors.New("the kernel checks no other sum than CRC32 (xz --check=crc32)")
	}
	return nil
}

// takesBzip2 looks for a second stream: the library goes on with that, the kernel does not. A stream's first block begins at a byte of its own.
func takesBzip2(s *source) error {
	const first = "1AY&SY" // behind BZh and a digit
	window := make([]byte, 0, 1<<16)
	for at := s.offset() + 1; at < s.size; at += int64(cap(window) - 10) {
		n, err := s.file.ReadAt(window[:cap(window)], at)
		if err != nil && err != io.EOF {
			return err
		}
		for i := 0; i+10 <= n; i++ {
			if b := window[i : i+10]; string(b[:3]) == "BZh" && string(b[4:]) == first {
				return fmt.Errorf("more than one stream, the second at byte %d: the kernel unpacks the first one and stops there (pbzip2 makes several)", at+int64(i))
			}
		}
	}
	return nil
}
