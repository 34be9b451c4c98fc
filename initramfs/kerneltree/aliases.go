package kerneltree

import (
	"fmt"
	"strings"
)

// Alias is one line of modules.alias: a module that serves what matches a
// shell pattern, such as a device's modalias or "fs-erofs".
type Alias struct {
	// Pattern is kept as the tree spells it.
	Pattern string

	// Module is the name as the tree spells it; Normalize it to compare.
	Module string
}

// ParseAliases reads modules.alias ("alias PATTERN MODULE"). Lines with another
// keyword are passed over, as modprobe does.
func ParseAliases(text []byte) ([]Alias, error) {
	var all []Alias
	err := eachLine(text, func(number int, line string) error {
		words := strings.Fields(line)
		if words[0] != "alias" {
			return nil
		}
		if len(words) != 3 {
			return fmt.Errorf("modules.alias line %d: %d words after \"alias\" instead of 2", number, len(words)-1)
		}
		all = append(all, Alias{Pattern: words[1], Module: words[2]})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// FormatAliases writes modules.alias, one line each, in the given order.
func FormatAliases(all []Alias) []byte {
	var b strings.Builder
	for _, a := range all {
		b.WriteString("alias ")
		b.WriteString(a.Pattern)
		b.WriteByte(' ')
		b.WriteString(a.Module)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
