package kerneltree

import "strings"

// ParseBuiltIn reads modules.builtin, one path a line, and gives the names of
// the modules that are part of the kernel itself.
func ParseBuiltIn(text []byte) []string {
	var names []string
	_ = eachLine(text, func(_ int, line string) error {
		names = append(names, NameOf(line))
		return nil
	})
	return names
}

// ParseBuiltInAliases reads modules.builtin.modinfo, "MODULE.KEY=VALUE" entries
// that end in a NUL byte, and gives the aliases among them.
func ParseBuiltInAliases(text []byte) []Alias {
	var all []Alias
	for entry := range strings.SplitSeq(string(text), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		module, found := strings.CutSuffix(key, ".alias")
		if found && module != "" && value != "" {
			all = append(all, Alias{Pattern: value, Module: module})
		}
	}
	return all
}
