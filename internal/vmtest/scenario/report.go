package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The lines between which the guest prints its report.
const (
	beginLine     = "TESTBED-BEGIN"
	endLine       = "TESTBED-END"
	sectionPrefix = "--- "
)

// Report is the guest's report: named sections of lines, and the console after
// it, where the shutdown is.
type Report struct {
	sections map[string][]string
	after    []string
}

// Parse finds the report on a console. A console without a complete report is
// an error, and so is a section that comes twice.
func Parse(console string) (*Report, error) {
	lines := strings.Split(console, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], "\r")
	}
	begin := slices.Index(lines, beginLine)
	if begin < 0 {
		return nil, errors.New("read report: the console has no " + beginLine + "; the real root did not come to its end of the start")
	}
	length := slices.Index(lines[begin:], endLine)
	if length < 0 {
		return nil, errors.New("read report: the console has " + beginLine + " and no " + endLine)
	}
	r := &Report{sections: map[string][]string{}, after: lines[begin+length+1:]}
	name := ""
	for _, line := range lines[begin+1 : begin+length] {
		if next, found := strings.CutPrefix(line, sectionPrefix); found && !strings.Contains(next, " ") {
			if _, twice := r.sections[next]; twice {
				return nil, fmt.Errorf("read report: section %q comes twice", next)
			}
			name = next
			r.sections[name] = nil
			continue
		}
		if name != "" {
			r.sections[name] = append(r.sections[name], line)
		}
	}
	for name, lines := range r.sections {
		r.sections[name] = trimBlank(lines)
	}
	return r, nil
}

// trimBlank cuts the empty lines before and after a section's text.
func trimBlank(lines []string) []string {
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// Lines returns a section. That the report has no such section is an error; a
// section may be empty.
func (r *Report) Lines(section string) ([]string, error) {
	lines, found := r.sections[section]
	if !found {
		return nil, fmt.Errorf("the report has no section %q", section)
	}
	return lines, nil
}

// Text returns a section as one text.
func (r *Report) Text(section string) (string, error) {
	lines, err := r.Lines(section)
	return strings.Join(lines, "\n"), err
}

// Value returns what follows KEY= in a section; the first such line counts.
func (r *Report) Value(section, key string) (string, error) {
	lines, err := r.Lines(section)
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		if value, found := strings.CutPrefix(line, key+"="); found {
			return value, nil
		}
	}
	return "", fmt.Errorf("section %q has no %s=", section, key)
}

// expect compares KEY=value lines of a section with what they must be, in pairs
// of key and value, and returns the pairs as proof.
func (r *Report) expect(section string, pairs ...string) (string, error) {
	var proof, wrong []string
	for i := 0; i+1 < len(pairs); i += 2 {
		got, err := r.Value(section, pairs[i])
		if err != nil {
			return "", err
		}
		if got != pairs[i+1] {
			wrong = append(wrong, fmt.Sprintf("%s=%s, want %s", pairs[i], got, pairs[i+1]))
		}
		proof = append(proof, pairs[i]+"="+got)
	}
	if len(wrong) > 0 {
		return "", fmt.Errorf("%s: %s", section, strings.Join(wrong, "; "))
	}
	return strings.Join(proof, " "), nil
}

// expectEmpty wants a section without text.
func (r *Report) expectEmpty(section string) error {
	text, err := r.Text(section)
	if err != nil {
		return err
	}
	if text != "" {
		return fmt.Errorf("%s: %s", section, strings.ReplaceAll(text, "\n", " | "))
	}
	return nil
}
