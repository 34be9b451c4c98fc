package inifile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxLine is the limit of systemd for one line, continuations included.
	maxLine = 1 << 20
	// maxErrors bounds what a file full of nonsense can make anyone print.
	maxErrors = 10
)

// LineError says what is wrong with a line.
type LineError struct {
	Line    int // 1-based; the first one of a continued line
	Problem string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

// Parse reads a file. Lines that are not understood are left out, and each is a *LineError in the
// joined error, the first ten of them; the file is never nil and holds all the other lines.
// So a caller can be strict or, as systemd is, warn and go on.
func Parse(text []byte) (*File, error) {
	p := parser{file: &File{}, known: map[string]bool{}}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var (
		line      []byte // with continuations
		first     int    // its number
		continues bool
		tooLong   bool
	)
	for number := 1; len(text) > 0; number++ {
		var part []byte
		part, text, _ = bytes.Cut(text, []byte("\n"))
		part = bytes.TrimLeft(part, " \t\r")
		if len(part) > 0 && (part[0] == '#' || part[0] == ';') {
			continue // also between the parts of a continued line
		}
		if !continues {
			line, first, tooLong = line[:0], number, false
		}
		// What is over the limit is not stored, but its end still counts.
		if tooLong = tooLong || len(line)+len(part) > maxLine; !tooLong {
			line = append(line, part...)
		}
		if continues = endsInEscape(part); continues {
			if !tooLong {
				line = append(bytes.TrimSuffix(bytes.TrimRight(line, "\r"), []byte(`\`)), ' ')
			}
			continue
		}
		p.addLine(line, first, tooLong)
	}
	if continues {
		p.addLine(line, first, tooLong)
	}
	return p.file, p.err()
}

// endsInEscape reports whether the last character is a backslash that is not
// itself behind one.
func endsInEscape(line []byte) bool {
	line = bytes.TrimRight(line, "\r")
	kept := bytes.TrimRight(line, `\`)
	return (len(line)-len(kept))%2 == 1
}

type parser struct {
	file    *File
	known   map[string]bool // sections
	section string
	// skipping is set behind a bad header: whose keys those are is not known.
	skipping bool
	errors   []error
	omitted  int
}

func (p *parser) addLine(raw []byte, number int, tooLong bool) {
	if tooLong {
		p.fail(number, fmt.Sprintf("longer than %d bytes", maxLine))
		return
	}
	raw = bytes.Trim(raw, " \t\r")
	if len(raw) == 0 {
		return
	}
	if !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0 {
		p.fail(number, "not text in UTF-8")
		return
	}
	line := string(raw)
	if line[0] == '[' {
		p.addHeader(line, number)
		return
	}
	if p.skipping {
		return
	}
	key, value, found := strings.Cut(line, "=")
	key, value = strings.TrimRight(key, " \t\r"), strings.TrimLeft(value, " \t\r")
	switch {
	case !found:
		p.fail(number, fmt.Sprintf("no '=' in %.40q", line))
	case key == "":
		p.fail(number, "no key before '='")
	case p.section == "":
		p.fail(number, fmt.Sprintf("%.40q before any [section]", key))
	default:
		p.file.assignments = append(p.file.assignments, assignment{p.section, key, value})
	}
}

func (p *parser) addHeader(line string, number int) {
	name, closed := strings.CutSuffix(line[1:], "]")
	if !closed || name == "" || strings.ContainsFunc(name, isControl) {
		p.fail(number, fmt.Sprintf("bad section header %.40q", line))
		p.section, p.skipping = "", true
		return
	}
	p.section, p.skipping = name, false
	if !p.known[name] {
		p.known[name] = true
		p.file.sections = append(p.file.sections, name)
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func (p *parser) fail(line int, problem string) {
	if len(p.errors) == maxErrors {
		p.omitted++
		return
	}
	p.errors = append(p.errors, &LineError{line, problem})
}

func (p *parser) err() error {
	if p.omitted > 0 {
		p.errors = append(p.errors, fmt.Errorf("and %d more lines", p.omitted))
	}
	return errors.Join(p.errors...)
}
