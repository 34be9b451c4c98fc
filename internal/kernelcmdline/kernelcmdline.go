// Package kernelcmdline reads the text of /proc/cmdline.
//
// Words are split as the kernel does it for its own parameters: only the double quote
// quotes, and only around a whole word or a whole value. (systemd also knows the single quote
// and quotes inside a value; a word for both must not use these.) The package gives hardly any
// meaning to words, knows no "rd." precedence, and does not read boot loader
// configuration that the kernel appended under another name.
package kernelcmdline

import (
	"fmt"
	"slices"
	"strings"
)

// Word is one word of the command line: "key=value", or "key" alone.
type Word struct {
	Key   string
	Value string // empty if HasValue is false
	// HasValue tells "key=" (true) from "key" (false).
	HasValue bool
}

// String returns the word without quotes, as the kernel hands it to init.
func (w Word) String() string {
	if !w.HasValue {
		return w.Key
	}
	return w.Key + "=" + w.Value
}

// CommandLine is a kernel command line taken apart. The zero value is an empty one.
type CommandLine struct {
	words         []Word
	initArguments []string
}

// Parse takes a command line apart. Every text is acceptable to the kernel, so there are
// no errors: a quote that is never closed lasts until the end of the text.
func Parse(text string) CommandLine {
	var line CommandLine
	dashes := false
	for {
		text = skipSpace(text)
		if text == "" {
			return line
		}
		var word Word
		word, text = cutWord(text)
		switch {
		case dashes:
			line.initArguments = append(line.initArguments, word.String())
		case !word.HasValue && word.Key == "--":
			dashes = true
		default:
			line.words = append(line.words, word)
		}
	}
}

// Words returns the words in front of "--", in their order. The slice belongs to the
// command line and must not be changed.
func (c CommandLine) Words() []Word { return c.words }

// InitArguments returns the words after the first "--", which the kernel does not look at
// but hands to init. The slice must not be changed.
func (c CommandLine) InitArguments() []string { return c.initArguments }

// With returns the words of both command lines, those of more behind the others, where they count more.
func (c CommandLine) With(more CommandLine) CommandLine {
	return CommandLine{slices.Concat(c.words, more.words), slices.Concat(c.initArguments, more.initArguments)}
}

// Value returns the value of the last "key=value" with this key. Words without "=" do not
// count and do not undo an earlier value. In keys '-' and '_' are the same.
func (c CommandLine) Value(key string) (string, bool) {
	for i := len(c.words) - 1; i >= 0; i-- {
		if word := c.words[i]; word.HasValue && equalKeys(word.Key, key) {
			return word.Value, true
		}
	}
	return "", false
}

// InitrdValue is Value for words that systemd looks at in the initramfs: there "rd." in front of a
// key makes no difference.
func (c CommandLine) InitrdValue(key string) (string, bool) {
	for i := len(c.words) - 1; i >= 0; i-- {
		if word := c.words[i]; word.HasValue && (equalKeys(word.Key, key) || equalKeys(word.Key, "rd."+key)) {
			return word.Value, true
		}
	}
	return "", false
}

// Blacklist returns the modules that must not be loaded for devices, with '_' for '-' (modprobe(8), dracut.cmdline(7)).
func (c CommandLine) Blacklist() []string {
	var names []string
	for _, word := range c.words {
		if equalKeys(word.Key, "modprobe.blacklist") || equalKeys(word.Key, "rd.driver.blacklist") {
			names = append(names, strings.Split(strings.ReplaceAll(word.Value, "-", "_"), ",")...)
		}
	}
	return names
}

// Has reports whether the key occurs at all, with or without a value.
func (c CommandLine) Has(key string) bool {
	_, ok := c.last(key)
	return ok
}

// Bool returns the last occurrence of key as a boolean, absent if there is none. The
// words are systemd's: 1 yes y true t on, 0 no n false f off in either case; the key alone
// is true. Any other value, the empty one included, is an error that names the
// word, and comes with the value absent.
func (c CommandLine) Bool(key string, absent bool) (bool, error) {
	word, ok := c.last(key)
	if !ok {
		return absent, nil
	}
	if !word.HasValue {
		return true, nil
	}
	if value, ok := ParseBool(word.Value); ok {
		return value, nil
	}
	return absent, fmt.Errorf("kernel command line: %q is neither yes nor no", word.String())
}

// ParseBool reads one of the words that systemd takes for yes and no. ok is false for all others.
func ParseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "1", "yes", "y", "true", "t", "on":
		return true, true
	case "0", "no", "n", "false", "f", "off":
		return false, true
	}
	return false, false
}

func (c CommandLine) last(key string) (Word, bool) {
	for i := len(c.words) - 1; i >= 0; i-- {
		if equalKeys(c.words[i].Key, key) {
			return c.words[i], true
		}
	}
	return Word{}, false
}

// cutWord takes the first word off text, which must not be empty or start with space.
// It does what next_arg() of the kernel's lib/cmdline.c does, to the oddities.
func cutWord(text string) (word Word, rest string) {
	quoted := text[0] == '"'
	if quoted {
		text = text[1:]
	}
	inQuote := quoted
	equals := 0 // 0 means none: a '=' at the very start belongs to the key
	end := 0
	for ; end < len(text); end++ {
		c := text[end]
		if isSpace(c) && !inQuote {
			break
		}
		if c == '=' && equals == 0 {
			equals = end
		}
		if c == '"' {
			inQuote = !inQuote
		}
	}
	whole, rest := text[:end], text[end:]
	if equals == 0 {
		if quoted {
			whole = strings.TrimSuffix(whole, `"`)
		}
		return Word{Key: whole}, rest
	}
	key, value := whole[:equals], whole[equals+1:]
	if unquoted, ok := strings.CutPrefix(value, `"`); ok {
		value = strings.TrimSuffix(unquoted, `"`)
	} else if quoted {
		value = strings.TrimSuffix(value, `"`)
	}
	return Word{Key: key, Value: value, HasValue: true}, rest
}

// equalKeys compares keys as the kernel's parameq() does.
func equalKeys(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if dashToUnderscore(a[i]) != dashToUnderscore(b[i]) {
			return false
		}
	}
	return true
}

func dashToUnderscore(c byte) byte {
	if c == '-' {
		return '_'
	}
	return c
}

func skipSpace(text string) string {
	for text != "" && isSpace(text[0]) {
		text = text[1:]
	}
	return text
}

// isSpace is the ASCII part of the kernel's isspace(). The kernel takes the byte 0xa0 for
// a space as well; it is part of letters in UTF-8 and is left alone here, so that a
// partition label may hold them.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
