package jsontext

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Writer writes one value, in the form of encoding/json. The zero value writes it on one line.
type Writer struct {
	Text []byte
	// Indent is what a line begins with for each level; without it there is one line.
	Indent string

	depth int
	// filled says that the innermost array or object has an entry already.
	filled bool
}

// Open begins an array or an object with its bracket.
func (w *Writer) Open(bracket byte) {
	w.Text = append(w.Text, bracket)
	w.depth++
	w.filled = false
}

// Close ends an array or an object with its bracket.
func (w *Writer) Close(bracket byte) {
	w.depth--
	if w.filled {
		w.line()
	}
	w.Text = append(w.Text, bracket)
	w.filled = true
}

// Next begins an entry of an array; the value has to follow.
func (w *Writer) Next() {
	if w.filled {
		w.Text = append(w.Text, ',')
	}
	w.filled = true
	w.line()
}

// Name begins a member of an object; the value has to follow.
func (w *Writer) Name(name string) {
	w.Next()
	w.String(name)
	w.Text = append(w.Text, ':')
	if w.Indent != "" {
		w.Text = append(w.Text, ' ')
	}
}

func (w *Writer) line() {
	if w.Indent == "" {
		return
	}
	w.Text = append(w.Text, '\n')
	for range w.depth {
		w.Text = append(w.Text, w.Indent...)
	}
}

// Null writes null.
func (w *Writer) Null() { w.Text = append(w.Text, "null"...) }

// Bool writes true or false.
func (w *Writer) Bool(value bool) { w.Text = strconv.AppendBool(w.Text, value) }

// Int writes a number.
func (w *Writer) Int(value int64) { w.Text = strconv.AppendInt(w.Text, value, 10) }

// Uint writes a number.
func (w *Writer) Uint(value uint64) { w.Text = strconv.AppendUint(w.Text, value, 10) }

// Float writes a number with as many digits as it takes to read the same again. It has to be finite and, but for 0, of an absolute
// value from 1e-6 to below 1e21: those encoding/json writes without an exponent.
func (w *Writer) Float(value float64) { w.Text = strconv.AppendFloat(w.Text, value, 'f', -1, 64) }

// String writes a string. What a browser could take for its own is escaped, bytes that are no UTF-8 become U+FFFD.
func (w *Writer) String(text string) {
	const digits = "0123456789abcdef"
	to := append(w.Text, '"')
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				to = append(to, `\ufffd`...)
			case r == '\u2028' || r == '\u2029': // a line's end for JavaScript
				to = append(to, `\u202`...)
				to = append(to, digits[r&15])
			default:
				to = append(to, text[i:i+size]...)
			}
			i += size
			continue
		}
		if at := strings.IndexByte("\"\\\b\f\n\r\t", c); at >= 0 {
			to = append(to, '\\', `"\bfnrt`[at])
		} else if c < ' ' || c == '<' || c == '>' || c == '&' {
			to = append(to, `\u00`...)
			to = append(to, digits[c>>4], digits[c&15])
		} else {
			to = append(to, c)
		}
		i++
	}
	w.Text = append(to, '"')
}
