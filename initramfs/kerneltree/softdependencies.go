package kerneltree

import (
	"fmt"
	"strings"
)

// SoftDependency is one line of modules.softdep: modules, by name or alias,
// that are wanted before and after another one, and whose absence is no error.
type SoftDependency struct {
	Module        string
	Before, After []string
}

// ParseSoftDependencies reads modules.softdep ("softdep MODULE pre: NAME...
// post: NAME..."). Words before the first "pre:" or "post:" mean nothing to
// modprobe and are dropped; so is a line that has only those. Lines with
// another keyword are passed over.
func ParseSoftDependencies(text []byte) ([]SoftDependency, error) {
	var all []SoftDependency
	err := eachLine(text, func(number int, line string) error {
		words := strings.Fields(line)
		if words[0] != "softdep" {
			return nil
		}
		if len(words) < 2 {
			return fmt.Errorf("modules.softdep line %d: no module name", number)
		}
		s := SoftDependency{Module: words[1]}
		var list *[]string
		for _, word := range words[2:] {
			switch {
			case word == "pre:":
				list = &s.Before
			case word == "post:":
				list = &s.After
			case list != nil:
				*list = append(*list, word)
			}
		}
		if len(s.Before)+len(s.After) > 0 {
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// FormatSoftDependencies writes modules.softdep, one line each, in the given
// order.
func FormatSoftDependencies(all []SoftDependency) []byte {
	var b strings.Builder
	for _, s := range all {
		b.WriteString("softdep ")
		b.WriteString(s.Module)
		for _, list := range []struct {
			title string
			names []string
		}{{" pre:", s.Before}, {" post:", s.After}} {
			if len(list.names) == 0 {
				continue
			}
			b.WriteString(list.title)
			for _, name := range list.names {
				b.WriteByte(' ')
				b.WriteString(name)
			}
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
