// Package fstab reads the table of file systems, fstab(5).
//
// It says what stands in the lines. What becomes of an entry is for package plan.
package fstab

import (
	"fmt"
	"strconv"
	"strings"
)

// maxEntries bounds a table; what comes after it is left out.
const maxEntries = 4096

// Entry is a line of the table, with escapes undone.
type Entry struct {
	// Line counts from 1.
	Line int
	// Source is a device, TAG=VALUE, or whatever the type wants; Target an absolute path, or "none" for swap.
	Source, Target string
	// Type can be a list with commas, and "auto".
	Type string
	// Options have commas between them; "defaults" where the line has none.
	Options string
	// Pass is when fsck checks it; 0 stands for never.
	Pass int
}

// Parse reads a table. A line that cannot be understood is left out, with a problem in words that names it.
func Parse(text string) (entries []Entry, problems []string) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(entries) == maxEntries {
			return entries, append(problems, fmt.Sprintf("line %d: more than %d entries", number, maxEntries))
		}
		entry, problem := parseFields(fields)
		if problem != "" {
			problems = append(problems, fmt.Sprintf("line %d: %s", number, problem))
			continue
		}
		entry.Line = number
		entries = append(entries, entry)
	}
	return entries, problems
}

func parseFields(fields []string) (entry Entry, problem string) {
	if len(fields) < 3 {
		return entry, fmt.Sprintf("%d fields, at least 3 are needed", len(fields))
	}
	// Behind the sixth field there may be a comment.
	entry = Entry{Source: unquote(unescape(fields[0])), Target: unescape(fields[1]), Type: unescape(fields[2]), Options: "defaults"}
	if len(fields) > 3 {
		entry.Options = unescape(fields[3])
	}
	if len(fields) > 5 && !strings.HasPrefix(fields[4], "#") && !strings.HasPrefix(fields[5], "#") {
		pass, err := strconv.Atoi(fields[5])
		if err != nil || pass < 0 {
			return entry, fmt.Sprintf("%.20q is no order for fsck", fields[5])
		}
		entry.Pass = pass
	}
	if strings.ContainsRune(entry.Source+entry.Target+entry.Type+entry.Options, 0) {
		return entry, "a NUL in a field"
	}
	return entry, ""
}

// unescape undoes the octal escapes that stand for blanks and the like: \040.
func unescape(field string) string {
	if !strings.Contains(field, `\`) {
		return field
	}
	var b strings.Builder
	for i := 0; i < len(field); i++ {
		if field[i] == '\\' && i+3 < len(field) {
			if value, err := strconv.ParseUint(field[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(value))
				i += 3
				continue
			}
		}
		b.WriteByte(field[i])
	}
	return b.String()
}

// unquote takes one pair of quotes off the value of a tag: LABEL="my disk".
func unquote(source string) string {
	tag, value, found := strings.Cut(source, "=")
	if found && len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		return tag + "=" + value[1:len(value)-1]
	}
	return source
}

// Option returns the value of an option, "" for one without; the last one counts. found is false if it is not there.
func (e *Entry) Option(name string) (value string, found bool) {
	for word := range strings.SplitSeq(e.Options, ",") {
		key, text, _ := strings.Cut(word, "=")
		if key == name {
			value, found = text, true
		}
	}
	return value, found
}

// Has reports which of two options, of which one undoes the other, comes last. Without either it is false.
func (e *Entry) Has(name, opposite string) bool {
	has := false
	for word := range strings.SplitSeq(e.Options, ",") {
		switch word {
		case name:
			has = true
		case opposite:
			has = false
		}
	}
	return has
}
