package toolbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// searcher is one run of grep.
type searcher struct {
	options
	c             *call
	expression    *regexp.Regexp
	before, after int
	limit         int
	named         bool
	found         bool
}

// grep prints the lines of files that an expression fits: -E extended, -F plain text, else basic.
func grep(c *call) error {
	switch c.name {
	case "egrep", "fgrep":
		letter := map[string]string{"egrep": "-E", "fgrep": "-F"}[c.name]
		c.Arguments = append([]string{c.name, letter}, c.Arguments[1:]...)
	}
	set, names, err := c.parse("a/text A:/after-context B:/before-context c/count C:/context e:/regexp E/extended-regexp f:/file F/fixed-strings " +
		"G/basic-regexp h/no-filename H/with-filename i/ignore-case l/files-with-matches L/files-without-match m:/max-count n/line-number " +
		"o/only-matching q/quiet r/recursive s/no-messages v/invert-match w/word-regexp x/line-regexp y Q:/color")
	if err != nil {
		return err
	}
	s := &searcher{options: set, c: c, limit: -1}
	if names, err = s.compile(names); err != nil {
		return err
	}
	for _, context := range []struct {
		letter byte
		value  *int
	}{{'C', &s.before}, {'C', &s.after}, {'B', &s.before}, {'A', &s.after}, {'m', &s.limit}} {
		if text, given := set.value(context.letter); given {
			if *context.value, err = strconv.Atoi(text); err != nil || *context.value < 0 {
				return wrongUse("-%c %s: it is no number of lines", context.letter, text)
			}
		}
	}
	s.named = set.last("hH") == 'H' || set.last("hH") == 0 && (len(names) > 1 || set.has("r"))
	if len(names) == 0 && set.has("r") {
		s.tree("")
	} else {
		s.files(names)
	}
	switch {
	case s.found && (c.code == 0 || set.has("q")):
		return exitCode(0)
	case c.code != 0:
		return exitCode(2)
	}
	return exitCode(1)
}

// compile makes one expression of all that were given, and returns the other arguments.
func (s *searcher) compile(names []string) ([]string, error) {
	var patterns []string
	given := false
	for _, g := range s.options {
		switch g.letter {
		case 'e':
			given, patterns = true, append(patterns, strings.Split(g.value, "\n")...)
		case 'f':
			r, err := s.c.open(g.value)
			if err != nil {
				return nil, err
			}
			defer r.Close()
			text, err := io.ReadAll(io.LimitReader(r, 1<<20))
			if err != nil {
				return nil, err
			}
			given = true
			if len(text) > 0 {
				patterns = append(patterns, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
			}
		}
	}
	if !given {
		if len(names) == 0 {
			return nil, wrongUse("name an expression")
		}
		patterns, names = strings.Split(names[0], "\n"), names[1:]
	}
	var all []string
	for _, pattern := range patterns {
		switch s.last("EFG") {
		case 'E':
		case 'F':
			pattern = regexp.QuoteMeta(pattern)
		default:
			pattern = basicToExtended(pattern)
		}
		all = append(all, "(?:"+wordEdges(pattern)+")")
	}
	text := strings.Join(all, "|")
	if len(all) == 0 {
		text = `[^\x00-\x{10FFFF}]`
	}
	switch {
	case s.has("x"):
		text = "^(?:" + text + ")$"
	case s.has("w"):
		text = `(?:^|\b)(?:` + text + `)(?:\b|$)`
	}
	if s.has("iy") {
		text = "(?i)" + text
	}
	expression, err := regexp.Compile(text)
	if err != nil {
		if wrong, ok := err.(interface{ Unwrap() error }); ok {
			err = wrong.Unwrap()
		}
		return nil, wrongUse("the expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	expression.Longest()
	s.expression = expression
	return names, nil
}

// wordEdges writes \< and \> as the library does.
func wordEdges(pattern string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '\\' && i+1 < len(pattern) {
			i++
			if pattern[i] == '<' || pattern[i] == '>' {
				out.WriteString(`\b`)
				continue
			}
			out.WriteByte('\\')
		}
		out.WriteByte(pattern[i])
	}
	return out.String()
}

// basicToExtended writes a basic expression (POSIX, with GNU's \+ \? \|) as an extended one.
func basicToExtended(pattern string) string {
	var out strings.Builder
	start := true // of an expression, where "*" is a plain character and "^" an anchor
	for i := 0; i < len(pattern); i++ {
		char := pattern[i]
		wasStart := start
		start = false
		switch {
		case char == '\\' && i+1 < len(pattern):
			i++
			switch next := pattern[i]; next {
			case '(', '|':
				out.WriteByte(next)
				start = true
			case ')', '{', '}', '+', '?':
				out.WriteByte(next)
			default:
				out.WriteByte('\\')
				out.WriteByte(next)
			}
		case char == '[':
			end := bracketEnd(pattern[i:])
			out.WriteString(pattern[i : i+end])
			i += end - 1
		case strings.IndexByte("(){}+?|", char) >= 0, char == '*' && wasStart, char == '^' && !wasStart:
			out.WriteByte('\\')
			out.WriteByte(char)
		case char == '$' && i+1 < len(pattern) && !strings.HasPrefix(pattern[i+1:], `\)`) && !strings.HasPrefix(pattern[i+1:], `\|`):
			out.WriteString(`\$`)
		default:
			out.WriteByte(char)
			start = char == '^' && wasStart
		}
	}
	return out.String()
}

// bracketEnd returns how long the bracket expression at the start of a pattern is; to the end if it is not closed.
func bracketEnd(pattern string) int {
	i := 1
	if i < len(pattern) && pattern[i] == '^' {
		i++
	}
	if i < len(pattern) && pattern[i] == ']' {
		i++
	}
	for i < len(pattern) {
		if pattern[i] == '[' && i+1 < len(pattern) && strings.IndexByte(":.=", pattern[i+1]) >= 0 {
			if end := strings.Index(pattern[i+2:], string(pattern[i+1])+"]"); end >= 0 {
				i += end + 4
				continue
			}
		}
		if pattern[i] == ']' {
			return i + 1
		}
		i++
	}
	return len(pattern)
}

func (s *searcher) files(names []string) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		if !s.has("r") || name == "-" {
			s.file(name)
			continue
		}
		s.tree(name)
	}
}

// tree looks through all files below a directory, the working directory if name is empty.
func (s *searcher) tree(name string) {
	root := s.c.path(name)
	if name == "" {
		root = s.c.path(".")
	}
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			s.trouble(err)
			return nil
		}
		if entry.Type().IsRegular() {
			shown, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if name != "" {
				shown = strings.TrimSuffix(strings.TrimSuffix(name, "/")+"/"+shown, "/.")
			}
			s.file(shown)
		}
		return s.c.Err()
	})
}

// trouble tells of a file that cannot be read.
func (s *searcher) trouble(err error) {
	if s.has("s") {
		s.c.code = 2
		return
	}
	s.c.complain(err)
}

func (s *searcher) file(name string) {
	r, err := s.c.open(name)
	if err != nil {
		s.trouble(err)
		return
	}
	defer r.Close()
	if name == "-" {
		name = "(standard input)"
	}
	matches, err := s.search(name, r)
	if err != nil {
		s.trouble(err)
	}
	switch {
	case s.has("q"):
	case s.has("l") && matches > 0, s.has("L") && matches == 0:
		fmt.Fprintln(s.c.out, s.c.text(name))
	case s.has("c") && !s.has("lL"):
		if s.named {
			fmt.Fprintf(s.c.out, "%s:", s.c.text(name))
		}
		fmt.Fprintln(s.c.out, matches)
	}
	s.found = s.found || (matches > 0) != s.has("L")
}

// search looks through one input and returns how many lines fit.
func (s *searcher) search(name string, r io.Reader) (matches int, err error) {
	silent := s.has("qlLc")
	number, printed, follow := 0, 0, 0
	binary := false
	var kept []string // lines before, for -B
	err = eachLine(r, func(line []byte) error {
		number++
		if !binary && !s.has("a") && bytes.IndexByte(line, 0) >= 0 {
			binary = true
		}
		if s.limit >= 0 && matches >= s.limit && (follow == 0 || silent) {
			return errEnough
		}
		fits := s.expression.Match(line) != s.has("v") && !(s.limit >= 0 && matches >= s.limit)
		switch {
		case fits:
			matches++
			if s.has("qlL") {
				return errEnough
			}
			if silent {
				return s.c.Err()
			}
			if binary {
				fmt.Fprintf(s.c.out, "%s: binary file matches\n", s.c.text(name))
				return errEnough
			}
			first := number - len(kept)
			if (s.before > 0 || s.after > 0) && printed > 0 && first > printed+1 {
				fmt.Fprintln(s.c.out, "--")
			}
			for i, text := range kept {
				s.line(name, first+i, '-', text)
			}
			kept, follow, printed = nil, s.after, number
			s.match(name, number, line)
		case follow > 0 && !silent:
			follow--
			printed = number
			s.line(name, number, '-', string(line))
		case s.before > 0 && !silent:
			if kept = append(kept, string(line)); len(kept) > s.before {
				kept = kept[1:]
			}
		}
		return s.c.Err()
	})
	if errors.Is(err, s.c.Err()) {
		err = nil
	}
	return matches, err
}

// match prints a line that fits, or with -o what fits in it.
func (s *searcher) match(name string, number int, line []byte) {
	if !s.has("o") {
		s.line(name, number, ':', string(line))
		return
	}
	if s.has("v") {
		return
	}
	for _, part := range s.expression.FindAll(line, -1) {
		if len(part) > 0 {
			s.line(name, number, ':', string(part))
		}
	}
}

func (s *searcher) line(name string, number int, mark byte, text string) {
	if s.named {
		fmt.Fprintf(s.c.out, "%s%c", s.c.text(name), mark)
	}
	if s.has("n") {
		fmt.Fprintf(s.c.out, "%d%c", number, mark)
	}
	fmt.Fprintln(s.c.out, s.c.text(text))
	if s.c.columns > 0 {
		s.c.flush()
	}
}
