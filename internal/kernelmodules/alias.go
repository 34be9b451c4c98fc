package kernelmodules

import (
	"path"
	"strings"
)

// alias is one line of modules.alias: a shell pattern (glob(7)) for the devices
// and names that a module serves.
type alias struct {
	// prefix is what every match starts with: nearly all patterns are told apart
	// by it, and there are thousands of them.
	prefix, pattern string
	module          string
}

// newAlias takes "-" in the pattern for "_", as modprobe(8) does, except where it
// stands for a range.
func newAlias(pattern, module string) alias {
	inSet := false
	text := []byte(pattern)
	for i, c := range text {
		switch {
		case c == '[':
			inSet = true
		case c == ']':
			inSet = false
		case c == '-' && !inSet:
			text[i] = '_'
		}
	}
	pattern = string(text)
	prefix := pattern
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		prefix = pattern[:i]
	}
	return alias{prefix: prefix, pattern: pattern, module: module}
}

// matches reports whether the pattern covers a modalias in its canonical form. A
// pattern that is none matches nothing.
func (a alias) matches(modalias string) bool {
	if !strings.HasPrefix(modalias, a.prefix) {
		return false
	}
	pattern := a.pattern
	if strings.Contains(modalias, "/") {
		// To path.Match a "/" separates, and no wildcard crosses it.
		pattern, modalias = hideSlashes(pattern), hideSlashes(modalias)
	}
	ok, err := path.Match(pattern, modalias)
	return err == nil && ok
}

func hideSlashes(text string) string { return strings.ReplaceAll(text, "/", "\x01") }
