// Package tmpfiles reads the part of tmpfiles.d(5) that base directories are described with: the types d, D, L, f, C and z, and x, X, r and R, which do
// nothing when things are created. All else - other types and modifiers, specifiers, patterns - is an error, so that the build of an image fails
// instead of the boot doing less than the file says.
package tmpfiles

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Line is one line that creates something.
type Line struct {
	// Number counts from 1.
	Number int
	// Type is one of d, D, L, f, C and z.
	Type byte
	// BootOnly: the line is for "systemd-tmpfiles --boot" only ('!').
	BootOnly bool
	// Path is absolute and plain.
	Path string
	// Mode holds permission bits; HasMode says whether there are any.
	Mode    uint32
	HasMode bool
	// User and Group are names or numbers, "" for none.
	User, Group string
	// NewMode, NewUser and NewGroup: what is said counts only for what is created (':').
	NewMode, NewUser, NewGroup bool
	// Argument is the target of a link, the content of a file, the source of a copy; "" for none.
	Argument string
}

// LineError says what is wrong with a line.
type LineError struct {
	Number  int
	Problem string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Number, e.Problem) }

const (
	// maxErrors bounds what a file full of nonsense can make anyone print.
	maxErrors = 10
	maxLine   = 8 << 10
)

// Parse reads a file. Lines that are not understood are left out; the first ten of them are *LineErrors in the joined error.
func Parse(text []byte) ([]Line, error) {
	var (
		lines   []Line
		errs    []error
		omitted int
		number  int
	)
	for raw := range strings.SplitSeq(string(text), "\n") {
		number++
		raw = strings.Trim(raw, " \t\r")
		if raw == "" || raw[0] == '#' {
			continue
		}
		line, creates, err := parseLine(raw)
		switch {
		case err == nil && creates:
			line.Number = number
			lines = append(lines, line)
		case err != nil && len(errs) < maxErrors:
			errs = append(errs, &LineError{number, err.Error()})
		case err != nil:
			omitted++
		}
	}
	if omitted > 0 {
		errs = append(errs, fmt.Errorf("and %d more lines", omitted))
	}
	return lines, errors.Join(errs...)
}

// nothing are the types that create nothing.
const nothing = "xXrR"

func parseLine(raw string) (line Line, creates bool, err error) {
	if len(raw) > maxLine {
		return line, false, fmt.Errorf("longer than %d bytes", maxLine)
	}
	if strings.IndexByte(raw, 0) >= 0 {
		return line, false, errors.New("a zero byte")
	}
	var fields [6]string // type, path, mode, user, group, age
	for i := range fields {
		if fields[i], raw, err = cutField(raw); err != nil {
			return line, false, err
		}
	}
	if fields[0] == "" {
		return line, false, errors.New("no type")
	}
	line.Type = fields[0][0]
	if line.BootOnly, err = readModifiers(fields[0][1:]); err != nil {
		return line, false, err
	}
	if strings.IndexByte(nothing, line.Type) >= 0 {
		return line, false, nil
	}
	if strings.IndexByte("dDLfCz", line.Type) < 0 {
		return line, false, fmt.Errorf("type %q is not supported (only d D L f C z x X r R are)", line.Type)
	}
	if line.Path, err = readPath(fields[1]); err != nil {
		return line, false, err
	}
	if line.Type == 'z' && strings.ContainsAny(line.Path, `*?[`) {
		return line, false, errors.New("patterns are not supported")
	}
	if err := line.readMode(fields[2]); err != nil {
		return line, false, err
	}
	if line.User, line.NewUser, err = readName(fields[3]); err != nil {
		return line, false, err
	}
	if line.Group, line.NewGroup, err = readName(fields[4]); err != nil {
		return line, false, err
	}
	line.Argument, err = readArgument(raw, line.Type)
	return line, true, err
}

// cutField takes the first field off a line; it can stand in quotes. Fields that are missing are empty.
func cutField(raw string) (field, rest string, err error) {
	raw = strings.TrimLeft(raw, " \t")
	if raw == "" {
		return "", "", nil
	}
	if quote := raw[0]; quote == '"' || quote == '\'' {
		end := strings.IndexByte(raw[1:], quote)
		if end < 0 {
			return "", "", errors.New("a quote is not closed")
		}
		field, rest = raw[1:end+1], raw[end+2:]
		if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return "", "", errors.New("text behind a closing quote")
		}
	} else if end := strings.IndexAny(raw, " \t"); end >= 0 {
		field, rest = raw[:end], raw[end:]
		if strings.ContainsAny(field, `"'`) {
			return "", "", errors.New("a quote inside a word")
		}
	} else {
		field = raw
	}
	if strings.Contains(field, `\`) {
		return "", "", errors.New("backslashes are not supported")
	}
	return field, strings.TrimLeft(rest, " \t"), nil
}

func readModifiers(modifiers string) (bootOnly bool, err error) {
	for _, m := range modifiers {
		switch m {
		case '!':
			bootOnly = true
		case '-': // errors are never fatal here
		default:
			return false, fmt.Errorf("modifier %q is not supported", m)
		}
	}
	return bootOnly, nil
}

func readPath(text string) (string, error) {
	path, err := expand(text)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("path %.60q is not absolute", path)
	}
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", fmt.Errorf("path %.60q has '..' in it", path)
		default:
			parts = append(parts, part)
		}
	}
	return "/" + strings.Join(parts, "/"), nil
}

// expand knows of specifiers only the percent sign itself.
func expand(text string) (string, error) {
	if strings.Contains(strings.ReplaceAll(text, "%%", ""), "%") {
		return "", fmt.Errorf("specifiers are not supported (%.60q)", text)
	}
	return strings.ReplaceAll(text, "%%", "%"), nil
}

func (l *Line) readMode(text string) error {
	text, l.NewMode = strings.CutPrefix(text, ":")
	if text == "" || text == "-" {
		return nil
	}
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mode > 0o7777 {
		return fmt.Errorf("mode %.20q is not supported", text)
	}
	l.Mode, l.HasMode = uint32(mode), true
	return nil
}

func readName(text string) (name string, onlyNew bool, err error) {
	text, onlyNew = strings.CutPrefix(text, ":")
	if text == "-" {
		return "", onlyNew, nil
	}
	if strings.ContainsAny(text, "%:") {
		return "", false, fmt.Errorf("user or group %.40q is not supported", text)
	}
	return text, onlyNew, nil
}

// readArgument reads the rest of a line. Content of files has escapes as in C.
func readArgument(raw string, kind byte) (string, error) {
	raw = strings.Trim(raw, " \t")
	if raw == "" || raw == "-" {
		if kind == 'L' || kind == 'C' {
			return "", errors.New("the argument is missing")
		}
		return "", nil
	}
	text, err := expand(raw)
	if err != nil || kind != 'f' {
		return text, err
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		i++
		at := -1
		if i < len(text) {
			at = strings.IndexByte(`nt\"'`, text[i])
		}
		if at < 0 {
			return "", fmt.Errorf("escape in %.60q is not supported", raw)
		}
		b.WriteByte("\n\t\\\"'"[at])
	}
	return b.String(), nil
}
