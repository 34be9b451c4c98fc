// Package jsontext reads and writes JSON (RFC 8259), as far as the boot needs it. The standard library's encoding/json gives and
// takes the same, but it is a fourteenth of the sealed program, with what it keeps alive elsewhere: caches, hooks for types that
// encode themselves, sorts of its own, a reader of dates. The tests compare with it.
package jsontext

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/preroot/preroot/internal/sentinel"
)

// Parse returns the value that a text is: nil, a bool, a string, a Number, an Array or an Object. Bytes that are no UTF-8, and
// halves of surrogates, are read as U+FFFD. Text behind the value is an error that matches ErrBehind.
func Parse(text []byte) (any, error) {
	p := parser{text: text}
	p.skipSpace()
	value, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("read JSON at byte %d: %w", p.at, err)
	}
	if p.skipSpace(); p.at < len(text) {
		return nil, fmt.Errorf("read JSON at byte %d: %w", p.at, ErrBehind)
	}
	return value, nil
}

type (
	// Number is a number as it is written.
	Number string
	// Array has the values of an array.
	Array []any
	// Object has the members of an object in their order. A name can be there more than once: readers differ about which counts.
	Object []Member
	// Member is a member of an object.
	Member struct {
		Name  string
		Value any
	}
)

// ErrBehind says that the value is complete before the text ends.
const ErrBehind = sentinel.Error("text goes on behind the value")

// MaxDepth bounds how deep arrays and objects lie in one another: each level takes memory of the stack.
const MaxDepth = 64

const (
	errEnd    = sentinel.Error("it ends too early")
	errEscape = sentinel.Error("an unknown escape in a string")

	errNoObject = sentinel.Error("read JSON: the value is not an object")
)

// errDepth says that there is more than MaxDepth of it.
var errDepth error = depthError{}

type depthError struct{}

func (depthError) Error() string { return fmt.Sprintf("more than %d levels", MaxDepth) }

type parser struct {
	text []byte
	at   int
}

// peek is the next byte, 0 at the end, where no JSON has one.
func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) skipSpace() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// unexpected is the error about the next byte.
func (p *parser) unexpected(wanted string) error {
	if p.at >= len(p.text) {
		return errEnd
	}
	return fmt.Errorf("%q where %s belongs", p.text[p.at], wanted)
}

func (p *parser) value(depth int) (any, error) {
	switch c := p.peek(); {
	case c == '{' || c == '[':
		if depth == MaxDepth {
			return nil, errDepth
		}
		p.at++
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '"':
		return p.string()
	case c == '-' || isDigit(c):
		return p.number()
	}
	for _, known := range words {
		if len(p.text)-p.at >= len(known.text) && string(p.text[p.at:p.at+len(known.text)]) == known.text {
			p.at += len(known.text)
			return known.value, nil
		}
	}
	return nil, p.unexpected("a value")
}

var words = []struct {
	text  string
	value any
}{{"null", nil}, {"true", true}, {"false", false}}

// object reads what follows the brace.
func (p *parser) object(depth int) (Object, error) {
	o := Object{}
	for p.skipSpace(); p.peek() != '}'; p.skipSpace() {
		if len(o) > 0 {
			if err := p.separator(','); err != nil {
				return nil, err
			}
		}
		if p.peek() != '"' {
			return nil, p.unexpected("a name")
		}
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		p.skipSpace()
		if err := p.separator(':'); err != nil {
			return nil, err
		}
		value, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		o = append(o, Member{name, value})
	}
	p.at++
	return o, nil
}

// array reads what follows the bracket.
func (p *parser) array(depth int) (Array, error) {
	a := Array{}
	for p.skipSpace(); p.peek() != ']'; p.skipSpace() {
		if len(a) > 0 {
			if err := p.separator(','); err != nil {
				return nil, err
			}
		}
		value, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		a = append(a, value)
	}
	p.at++
	return a, nil
}

// separator reads a byte and the space behind it.
func (p *parser) separator(c byte) error {
	if p.peek() != c {
		return p.unexpected(strconv.Quote(string(c)))
	}
	p.at++
	p.skipSpace()
	return nil
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?.
func (p *parser) number() (Number, error) {
	start := p.at
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if err := p.digits(); err != nil {
		return "", err
	}
	if p.peek() == '.' {
		p.at++
		if err := p.digits(); err != nil {
			return "", err
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if err := p.digits(); err != nil {
			return "", err
		}
	}
	return Number(p.text[start:p.at]), nil
}

func (p *parser) digits() error {
	if !isDigit(p.peek()) {
		return p.unexpected("a digit")
	}
	for isDigit(p.peek()) {
		p.at++
	}
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// string reads from one quote to the other.
func (p *parser) string() (string, error) {
	p.at++
	var text []byte
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return string(text), nil
		case c == '\\':
			p.at++
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			text = utf8.AppendRune(text, r)
		case c < ' ':
			return "", p.unexpected("text or an escape")
		case c < utf8.RuneSelf:
			text = append(text, c)
			p.at++
		default:
			r, size := utf8.DecodeRune(p.text[p.at:])
			text = utf8.AppendRune(text, r)
			p.at += size
		}
	}
	return "", errEnd
}

// escape reads what follows a backslash.
func (p *parser) escape() (rune, error) {
	c := p.peek()
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := hexRune(p.text[min(p.at, len(p.text)):])
		if !ok {
			return 0, errEscape
		}
		p.at += 4
		if !utf16.IsSurrogate(r) {
			return r, nil
		}
		// The other half follows; where it does not, what follows stands for itself.
		if rest := p.text[p.at:]; len(rest) > 2 && rest[0] == '\\' && rest[1] == 'u' {
			if low, ok := hexRune(rest[2:]); ok {
				if whole := utf16.DecodeRune(r, low); whole != utf8.RuneError {
					p.at += 6
					return whole, nil
				}
			}
		}
		return utf8.RuneError, nil
	}
	return 0, errEscape
}

// hexRune reads the four digits that a text begins with.
func hexRune(text []byte) (rune, bool) {
	if len(text) < 4 {
		return 0, false
	}
	// ParseUint alone would do, but for a sign.
	for _, c := range text[:4] {
		if !isDigit(c) && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(text[:4]), 16, 16)
	return rune(n), err == nil
}
