package contents

import (
	"bufio"
	"io"
)

// source is the file as a stream that knows where it is and takes no byte more than it is asked for.
type source struct {
	file io.ReaderAt
	size int64

	*bufio.Reader
	counter *countingReader
}

type countingReader struct {
	r     io.Reader
	count int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.count += int64(n)
	return n, err
}

func newSource(file io.ReaderAt, size int64) *source {
	s := &source{file: file, size: size}
	s.seek(0)
	return s
}

// seek goes to a place of the file.
func (s *source) seek(offset int64) {
	s.counter = &countingReader{r: io.NewSectionReader(s.file, offset, s.size-offset), count: offset}
	s.Reader = bufio.NewReaderSize(s.counter, 1<<16)
}

// offset gives the place of the next byte.
func (s *source) offset() int64 { return s.counter.count - int64(s.Buffered()) }

// peek gives the next n bytes, fewer only at the end of the file.
func (s *source) peek(n int) ([]byte, error) {
	b, err := s.Peek(n)
	if err == io.EOF {
		err = nil
	}
	return b, err
}

func (s *source) skipZeros() error {
	for {
		c, err := s.ReadByte()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if c != 0 {
			return s.UnreadByte()
		}
	}
}
