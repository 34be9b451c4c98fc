package toolbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/preroot/preroot/internal/sentinel"
)

// cat copies files to standard output; -n numbers lines.
func cat(c *call) error {
	set, names, err := c.parse("n/number u")
	if err != nil {
		return err
	}
	number := 0
	c.eachInput(names, func(name string, r io.Reader) error {
		if !set.has("n") {
			// What comes in goes out at once: it may be a terminal.
			_, err := io.Copy(c.Stdout, r)
			return err
		}
		return eachLine(r, func(line []byte) error {
			number++
			_, err := fmt.Fprintf(c.out, "%6d\t%s\n", number, line)
			return err
		})
	})
	return nil
}

// errEnough ends eachLine without an error.
const errEnough = sentinel.Error("enough")

// maxLine bounds a line, in bytes; what is longer comes in pieces.
const maxLine = 1 << 20

// eachLine calls a function with every line, without its line break. The bytes are those of the next line after that.
func eachLine(r io.Reader, function func(line []byte) error) error {
	reader := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for {
		part, err := reader.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) < maxLine:
			continue
		case err == nil:
			line = line[:len(line)-1]
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			if len(line) == 0 {
				return nil
			}
		default:
			return err
		}
		last := errors.Is(err, io.EOF)
		if err := function(line); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
		if last {
			return nil
		}
		line = line[:0]
	}
}
