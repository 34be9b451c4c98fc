package hashtree

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Source gives the blocks of a device or file. Its methods may be called by several goroutines at once.
type Source interface {
	// Use calls use with the n bytes at byte offset. The slice is valid during the call only and must not be
	// written to. It may be called a second time, from the start, with the same bytes. Bytes that lie behind the end are an error that matches io.ErrUnexpectedEOF, and use
	// is not called, or its result is thrown away; an error of use is returned as it is.
	Use(offset int64, n int, use func(b []byte) error) error
	// Size is the number of bytes that were there when the source was opened.
	Size() int64
}

// ReaderSource makes a source of a reader of size bytes. It copies every block.
func ReaderSource(r io.ReaderAt, size int64) Source {
	return &readerSource{r: r, size: size}
}

type readerSource struct {
	r       io.ReaderAt
	size    int64
	buffers sync.Pool // of *[]byte
}

func (s *readerSource) Size() int64 { return s.size }

func (s *readerSource) Use(offset int64, n int, use func(b []byte) error) error {
	pooled, _ := s.buffers.Get().(*[]byte)
	if pooled == nil || cap(*pooled) < n {
		fresh := make([]byte, n)
		pooled = &fresh
	}
	defer s.buffers.Put(pooled)
	b := (*pooled)[:n]
	if got, err := s.r.ReadAt(b, offset); got < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %d bytes at byte %d: %w", n, offset, err)
	}
	return use(b)
}
