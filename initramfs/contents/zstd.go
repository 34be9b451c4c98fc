package contents

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// openZstd unpacks one frame. The library's decoder reads ahead, so the end of the frame is looked for first.
func openZstd(s *source) (io.Reader, error) {
	start := s.offset()
	end, err := zstdFrameEnd(s.file, start, s.size)
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(io.NewSectionReader(s.file, start, end-start),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	s.seek(end)
	return &zstdFrame{decoder}, nil
}

type zstdFrame struct{ *zstd.Decoder }

// Close frees what the decoder holds.
func (f *zstdFrame) Close() error {
	f.Decoder.Close()
	return nil
}

// zstdFrameEnd follows the block headers of a frame (RFC 8878, section 3.1.1) to its end.
func zstdFrameEnd(file io.ReaderAt, start, size int64) (int64, error) {
	var header [5]byte
	if err := readAt(file, header[:], start, size); err != nil {
		return 0, err
	}
	descriptor := header[4]
	single, checksum := descriptor&0x20 != 0, descriptor&4 != 0
	length := int64(5) + []int64{0, 1, 2, 4}[descriptor&3] // the dictionary's number
	if !single {
		length++ // the window
	}
	switch descriptor >> 6 {
	case 0:
		if single {
			length++
		}
	default:
		length += 1 << (descriptor >> 6)
	}
	at := start + length
	for {
		var block [3]byte
		if err := readAt(file, block[:], at, size); err != nil {
			return 0, err
		}
		value := int64(block[0]) | int64(block[1])<<8 | int64(block[2])<<16
		last, kind, content := value&1 != 0, value>>1&3, value>>3
		switch kind {
		case 1:
			content = 1
		case 3:
			return 0, errors.New("a block of a reserved type")
		}
		if at += 3 + content; at > size {
			return 0, io.ErrUnexpectedEOF
		}
		if last {
			break
		}
	}
	if checksum {
		at += 4
	}
	if at > size {
		return 0, io.ErrUnexpectedEOF
	}
	return at, nil
}

func readAt(file io.ReaderAt, b []byte, at, size int64) error {
	if at+int64(len(b)) > size {
		return io.ErrUnexpectedEOF
	}
	if _, err := file.ReadAt(b, at); err != nil && err != io.EOF {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}
