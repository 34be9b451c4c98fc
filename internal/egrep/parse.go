package egrep

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

type parser struct {
	text string
	at   int
}

func (p *parser) fail(reason string) error { return &Error{p.at, reason} }

// take returns the next character; there must be one.
func (p *parser) take() rune {
	r, size := utf8.DecodeRuneInString(p.text[p.at:])
	if r == utf8.RuneError && size == 1 {
		r = strayByte + rune(p.text[p.at])
	}
	p.at += size
	return r
}

// is reports whether a text comes next, and goes behind it.
func (p *parser) is(text string) bool {
	if !strings.HasPrefix(p.text[p.at:], text) {
		return false
	}
	p.at += len(text)
	return true
}

func (p *parser) alternatives(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, p.fail(fmt.Sprintf("more than %d parentheses in one another", maxDepth))
	}
	n := &node{kind: choice}
	for {
		branch, err := p.branch(depth)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, branch)
		if !p.is("|") && !p.is("\n") {
			return n, nil
		}
	}
}

func (p *parser) branch(depth int) (*node, error) {
	n := &node{kind: sequence}
	for p.at < len(p.text) && !strings.ContainsRune("|\n)", rune(p.text[p.at])) {
		atom, err := p.atom(depth)
		if err != nil {
			return nil, err
		}
		for repeated := true; repeated; {
			if atom, repeated, err = p.repetition(atom); err != nil {
				return nil, err
			}
		}
		n.children = append(n.children, atom)
	}
	return n, nil
}

func (p *parser) atom(depth int) (*node, error) {
	start := p.at
	switch r := p.take(); r {
	case '(':
		n, err := p.alternatives(depth + 1)
		if err == nil && !p.is(")") {
			p.at = start
			err = p.fail("'(' without ')'")
		}
		return n, err
	case '.':
		return &node{kind: one, set: &set{all: true}}, nil
	case '^':
		return &node{kind: begin}, nil
	case '$':
		return &node{kind: end}, nil
	case '[':
		set, err := p.bracket(start)
		return &node{kind: one, set: set}, err
	case '*', '+', '?':
		p.at = start
		return nil, p.fail(fmt.Sprintf("'%c' has nothing to repeat", r))
	case '\\':
		return p.escape(start)
	case 0:
		p.at = start
		return nil, p.fail("a zero byte")
	case '{':
		if _, _, length := readInterval(p.text[start:]); length > 0 {
			p.at = start
			return nil, p.fail("'{}' has nothing to repeat")
		}
		return &node{kind: one, set: single(r)}, nil
	default:
		return &node{kind: one, set: single(r)}, nil
	}
}

func (p *parser) escape(start int) (*node, error) {
	if p.at == len(p.text) {
		p.at = start
		return nil, p.fail("a backslash at the end")
	}
	r := p.take()
	if set := escaped(r); set != nil {
		return &node{kind: one, set: set}, nil
	}
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("<>`'\n", r) || r == 0 {
		p.at = start
		return nil, p.fail(fmt.Sprintf("\\%c is not supported", r))
	}
	return &node{kind: one, set: single(r)}, nil
}

// repetition reads one of * + ? {N,M} behind an atom.
func (p *parser) repetition(atom *node) (*node, bool, error) {
	n := &node{kind: repeat, children: []*node{atom}, high: -1}
	switch {
	case p.is("*"):
	case p.is("+"):
		n.low = 1
	case p.is("?"):
		n.high = 1
	default:
		low, high, length := readInterval(p.text[p.at:])
		if length == 0 {
			return atom, false, nil
		}
		if low > maxRepeat || high > maxRepeat || (high >= 0 && low > high) {
			return nil, false, p.fail("bad numbers in {}")
		}
		p.at += length
		n.low, n.high = low, high
	}
	return n, true, nil
}

// maxRepeat is RE_DUP_MAX of glibc.
const maxRepeat = 32767

// readInterval reads {N}, {N,}, {,M} or {N,M}; length is 0 if the text is none of them: the brace stands for itself then. {} has the
// low number 1 and the high one 0.
func readInterval(text string) (low, high, length int) {
	inside, _, closed := strings.Cut(text, "}")
	if !closed || !strings.HasPrefix(inside, "{") {
		return 0, 0, 0
	}
	length = len(inside) + 1
	lowText, highText, comma := strings.Cut(inside[1:], ",")
	if !isNumber(lowText) || !isNumber(highText) {
		return 0, 0, 0
	}
	if lowText == "" && !comma {
		return 1, 0, length
	}
	low, high = number(lowText), -1
	if highText != "" {
		high = number(highText)
	} else if !comma {
		high = low
	}
	return low, high, length
}

func isNumber(text string) bool { return strings.Trim(text, "0123456789") == "" }

func number(digits string) int {
	n := 0
	for _, d := range digits {
		n = min(10*n+int(d-'0'), maxRepeat+1)
	}
	return n
}

// bracket reads the rest of a bracket expression that began at start.
func (p *parser) bracket(start int) (*set, error) {
	s := &set{negated: p.is("^")}
	for first := true; ; first = false {
		if p.at == len(p.text) {
			p.at = start
			return nil, p.fail("'[' without ']'")
		}
		if !first && p.is("]") {
			return s, nil
		}
		if p.is("[:") {
			name, err := p.until(":]")
			if err != nil {
				return nil, err
			}
			members := class(name)
			if members == nil {
				return nil, p.fail(fmt.Sprintf("no class of characters is called %.20q", name))
			}
			s.ranges = append(s.ranges, members...)
			s.doubtful = s.doubtful || (name != "digit" && name != "xdigit")
			continue
		}
		low, err := p.endpoint()
		if err != nil {
			return nil, err
		}
		high := low
		if rest := p.text[p.at:]; strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, "-]") && len(rest) > 1 {
			p.at++
			if high, err = p.endpoint(); err != nil {
				return nil, err
			}
		}
		if low > high {
			return nil, p.fail("a range that ends before it begins")
		}
		if low != high && (low >= 0x80 || high >= 0x80) {
			s.doubtful = true
		}
		s.ranges = append(s.ranges, [2]rune{low, high})
	}
}

// endpoint reads a character of a bracket expression, which can be written as [.x.] or [=x=].
func (p *parser) endpoint() (rune, error) {
	for _, mark := range []string{".", "="} {
		if !p.is("[" + mark) {
			continue
		}
		name, err := p.until(mark + "]")
		if err != nil {
			return 0, err
		}
		r, size := utf8.DecodeRuneInString(name)
		if size != len(name) || size == 0 || r == utf8.RuneError {
			return 0, p.fail(fmt.Sprintf("%.20q is not one character", name))
		}
		return r, nil
	}
	if strings.HasPrefix(p.text[p.at:], "[:") {
		return 0, p.fail("a class of characters cannot end a range")
	}
	if p.at == len(p.text) {
		return 0, p.fail("'[' without ']'")
	}
	return p.take(), nil
}

// until returns the text before an end, and goes behind that.
func (p *parser) until(end string) (string, error) {
	name, _, found := strings.Cut(p.text[p.at:], end)
	if !found {
		return "", p.fail("'" + end + "' is missing")
	}
	p.at += len(name) + len(end)
	return name, nil
}
