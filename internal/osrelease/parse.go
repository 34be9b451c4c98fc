// Package osrelease reads os-release and extension-release files (os-release(5)) and decides
// whether an extension belongs to a host, exactly as systemd does.
//
// Finding the files is the caller's work; ReleaseFileName and BaseName tell what to look for.
// Nothing but release data plays a part in the decision: not the image's policy, signature or
// content.
package osrelease

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Fields are the assignments of a release file. Values can hold anything: quote them before they go
// to a terminal.
type Fields map[string]string

const (
	whiteSpace = " \t\n\r"
	lineEnds   = "\n\r"
)

type state int

const (
	beforeKey state = iota
	inKey
	beforeValue // also behind the end of a quoted part
	inValue
	inValueEscape
	inSingleQuotes
	inDoubleQuotes
	inDoubleQuotesEscape
	inComment
)

// Parse reads a release file. It never fails: lines without "=" or with a key that is no variable
// name are left out. The last assignment to a key counts. A file with a key or value that is not
// UTF-8, or with a NUL byte anywhere, gives no fields at all, since to systemd it is then no
// release file.
//
// It is the language of systemd's environment files, which is wider than os-release(5) and differs
// from a shell in details: an unquoted value goes to the end of the line, and a "#" in it is no
// comment.
func Parse(text []byte) Fields {
	if bytes.IndexByte(text, 0) >= 0 {
		return nil
	}
	p := parser{fields: Fields{}}
	for _, c := range text {
		p.next(c)
	}
	if p.state >= beforeValue && p.state <= inDoubleQuotesEscape {
		p.endValue() // the last line has no end, or a quote is open
	}
	if p.notText {
		return nil
	}
	return p.fields
}

type parser struct {
	fields     Fields
	state      state
	key, value []byte
	// blank is the number of bytes at the end of value that are unquoted white space.
	blank   int
	notText bool
}

func (p *parser) next(c byte) {
	isLineEnd := strings.IndexByte(lineEnds, c) >= 0
	isSpace := strings.IndexByte(whiteSpace, c) >= 0
	switch p.state {
	case beforeKey:
		switch {
		case c == '#' || c == ';':
			p.state = inComment
		case !isSpace:
			p.key, p.state = append(p.key[:0], c), inKey
		}

	case inKey:
		switch {
		case isLineEnd:
			p.state = beforeKey
		case c == '=':
			p.value, p.blank, p.state = p.value[:0], 0, beforeValue
		default:
			p.key = append(p.key, c)
		}

	case beforeValue:
		switch {
		case isLineEnd:
			p.endValue()
		case c == '\'':
			p.state = inSingleQuotes
		case c == '"':
			p.state = inDoubleQuotes
		case c == '\\':
			p.state = inValueEscape
		case !isSpace:
			p.value, p.state = append(p.value, c), inValue
		}

	case inValue:
		switch {
		case isLineEnd:
			p.endValue()
		case c == '\\':
			p.blank, p.state = 0, inValueEscape
		case isSpace:
			p.value, p.blank = append(p.value, c), p.blank+1
		default:
			p.value, p.blank = append(p.value, c), 0
		}

	case inValueEscape:
		p.state = inValue
		if !isLineEnd { // which would continue the line
			p.value = append(p.value, c)
		}

	case inSingleQuotes:
		if c == '\'' {
			p.state = beforeValue
		} else {
			p.value = append(p.value, c)
		}

	case inDoubleQuotes:
		switch c {
		case '"':
			p.state = beforeValue
		case '\\':
			p.state = inDoubleQuotesEscape
		default:
			p.value = append(p.value, c)
		}

	case inDoubleQuotesEscape:
		p.state = inDoubleQuotes
		switch c {
		case '"', '\\', '`', '$':
			p.value = append(p.value, c)
		case '\n':
		default:
			p.value = append(p.value, '\\', c)
		}

	case inComment: // which a backslash does not continue on the next line
		if isLineEnd {
			p.state = beforeKey
		}
	}
}

func (p *parser) endValue() {
	p.state = beforeKey
	key := strings.TrimRight(string(p.key), whiteSpace)
	value := p.value[:len(p.value)-p.blank]
	if !utf8.ValidString(key) || !utf8.Valid(value) {
		p.notText = true
	}
	if isName(key) {
		p.fields[key] = string(value)
	}
}

// isName reports whether s can be the name of an environment variable.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
