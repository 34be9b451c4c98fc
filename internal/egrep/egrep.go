// Package egrep matches whole texts against extended regular expressions as "find -regextype egrep" and grep -E do: POSIX syntax (XBD
// 9.4), and of GNU's additions \w, \W, \s, \S, intervals such as {,3}, and a new line in the place of "|".
//
// It is made for expressions that say what to keep. So what is not understood (back references, word edges), or what others
// understand in two ways, is an error; and where a result depends on the locale, it is a match. Characters are those of UTF-8; a byte that belongs to none
// is a character of its own.
//
// An expression becomes a machine without backtracking: matching takes time in proportion to the length of the text.
package egrep

import (
	"fmt"
	"unicode/utf8"
)

const (
	// maxText is the length of an expression in bytes.
	maxText = 64 << 10
	// maxStates bounds what repeated repetitions can grow to.
	maxStates = 16 << 10
	// maxDepth is how deep parentheses can be.
	maxDepth = 500
	// strayByte is added to a byte that is not UTF-8.
	strayByte = utf8.MaxRune + 1
)

// Expression is a compiled expression. It must not be used by two goroutines at once.
type Expression struct {
	states []state
	start  int

	current, next list
}

// operation is what a state does.
type operation uint8

const (
	accept     operation = iota
	character            // one that the set has, then out
	fork                 // out and other
	beginsHere           // the text begins here, then out
	endsHere             // the text ends here, then out
)

type state struct {
	do         operation
	set        *set
	out, other int
}

// Error says what is wrong with an expression.
type Error struct {
	// At is the offset in bytes.
	At     int
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("regular expression, character %d: %s", e.At+1, e.Reason)
}

// Compile reads an expression of at most 64 KiB. The error is an *Error.
func Compile(text string) (*Expression, error) {
	if len(text) > maxText {
		return nil, &Error{maxText, fmt.Sprintf("longer than %d bytes", maxText)}
	}
	p := &parser{text: text}
	root, err := p.alternatives(0)
	if err == nil && p.at < len(text) {
		err = p.fail("')' without '('")
	}
	if err != nil {
		return nil, err
	}
	c := &compiler{}
	end := c.add(state{do: accept})
	start := c.compile(root, end)
	if c.full {
		return nil, &Error{0, fmt.Sprintf("repetitions grow to more than %d states", maxStates)}
	}
	return &Expression{states: c.states, start: start, current: newList(len(c.states)), next: newList(len(c.states))}, nil
}

// list is a set of states in the order in which they were added.
type list struct {
	members []int
	member  []bool
}

func newList(size int) list { return list{member: make([]bool, size)} }

func (l *list) clear() {
	for _, m := range l.members {
		l.member[m] = false
	}
	l.members = l.members[:0]
}

// Match reports whether the expression stands for all of the text.
func (e *Expression) Match(text string) bool {
	e.current.clear()
	e.follow(&e.current, e.start, true, text == "")
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && size == 1 {
			r = strayByte + rune(text[at])
		}
		at += size
		e.next.clear()
		for _, s := range e.current.members {
			if state := &e.states[s]; state.do == character && state.set.has(r) {
				e.follow(&e.next, state.out, false, at == len(text))
			}
		}
		e.current, e.next = e.next, e.current
		if len(e.current.members) == 0 {
			return false
		}
	}
	for _, s := range e.current.members {
		if e.states[s].do == accept {
			return true
		}
	}
	return false
}

// follow adds a state and those that it leads to without a character.
func (e *Expression) follow(l *list, s int, first, last bool) {
	if l.member[s] {
		return
	}
	l.member[s] = true
	l.members = append(l.members, s)
	switch state := &e.states[s]; state.do {
	case fork:
		e.follow(l, state.out, first, last)
		e.follow(l, state.other, first, last)
	case beginsHere:
		if first {
			e.follow(l, state.out, first, last)
		}
	case endsHere:
		if last {
			e.follow(l, state.out, first, last)
		}
	}
}
