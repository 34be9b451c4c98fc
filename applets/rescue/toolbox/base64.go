package toolbox

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// base64Command encodes or, with -d, decodes; -w is the width of a line, -i passes over what is no base64.
func base64Command(c *call) error {
	set, names, err := c.parse("d/decode i/ignore-garbage w:/wrap")
	if err != nil {
		return err
	}
	if len(names) > 1 {
		return wrongUse("more than one file: %s", shorten(names))
	}
	width := 76
	if text, given := set.value('w'); given {
		if width, err = strconv.Atoi(text); err != nil || width < 0 {
			return wrongUse("%q is no width", text)
		}
	}
	c.eachInput(names, func(name string, r io.Reader) error {
		if !set.has("d") {
			return encode(c.out, r, width)
		}
		decoder := base64.NewDecoder(base64.StdEncoding, base64Only{r, set.has("i")})
		_, err := io.Copy(c.out, decoder)
		if corrupt, ok := errors.AsType[base64.CorruptInputError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%s: invalid input near character %d", name, int64(corrupt))
		}
		return err
	})
	return nil
}

// base64Only drops line breaks, or everything that is no base64.
type base64Only struct {
	io.Reader
	all bool
}

func (b base64Only) Read(p []byte) (int, error) {
	for {
		n, err := b.Reader.Read(p)
		kept := 0
		for _, char := range p[:n] {
			switch {
			case char == '\n' || char == '\r':
			case b.all && !isBase64(char):
			default:
				p[kept] = char
				kept++
			}
		}
		if kept > 0 || err != nil || len(p) == 0 {
			return kept, err
		}
	}
}

func isBase64(char byte) bool {
	return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || strings.IndexByte("+/=", char) >= 0
}

func encode(w io.Writer, r io.Reader, width int) error {
	lines := &wrapping{w: w, width: width}
	encoder := base64.NewEncoder(base64.StdEncoding, lines)
	if _, err := io.Copy(encoder, r); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	return lines.end()
}

// wrapping breaks what is written into lines.
type wrapping struct {
	w           io.Writer
	width, used int
}

func (w *wrapping) Write(p []byte) (int, error) {
	if w.width == 0 {
		return w.w.Write(p)
	}
	for rest := p; len(rest) > 0; {
		if w.used == w.width {
			if err := w.end(); err != nil {
				return 0, err
			}
		}
		n := min(len(rest), w.width-w.used)
		if _, err := w.w.Write(rest[:n]); err != nil {
			return 0, err
		}
		rest, w.used = rest[n:], w.used+n
	}
	return len(p), nil
}

// end ends the line.
func (w *wrapping) end() error {
	if w.used == 0 {
		return nil
	}
	w.used = 0
	_, err := io.WriteString(w.w, "\n")
	return err
}
