package bootlog

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Printable makes a line fit for a terminal, whoever wrote it: what is no
// printable character becomes "?" - control characters, also those beyond ASCII that
// terminals obey, characters that change the direction of text, and bytes that
// are no UTF-8. Tabs become blanks, a line break is a "?".
func Printable(line string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError || !strconv.IsPrint(r):
			return '?'
		}
		return r
	}, line)
}

// cut shortens text to at most limit bytes, in front of a whole character.
func cut(text string, limit int) string {
	const mark = "..."
	if len(text) <= limit {
		return text
	}
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// WrapLines breaks text at blanks into lines of at most width bytes. Lines that
// continue another one are indented. A longer word gets a line of its own.
// Line breaks in the text stay, but for those at its end.
func WrapLines(text string, width int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		const indent = "  "
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			switch {
			case line == "":
				line = word
			case len(line)+1+len(word) <= width:
				line += " " + word
			default:
				lines = append(lines, line)
				line = word
				if len(indent)+len(word) <= width {
					line = indent + word
				}
			}
		}
		lines = append(lines, line)
	}
	return lines
}
