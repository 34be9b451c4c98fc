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

// ParseBuiltInAliases reads modules.builtin.modinfo, and gives the aliases in it.
func ParseBuiltInAliases(text []byte) []Alias {
	var all []Alias
	eachBuiltInEntry(text, "alias", func(module, value string) {
		all = append(all, Alias{Pattern: value, Module: module})
	})
	return all
}

// ParseBuiltInFirmware reads modules.builtin.modinfo, and gives what each driver
// in it may ask for: paths below lib/firmware.
func ParseBuiltInFirmware(text []byte) map[string][]string {
	all := make(map[string][]string)
	eachBuiltInEntry(text, "firmware", func(module, value string) {
		module = Normalize(module)
		all[module] = append(all[module], value)
	})
	return all
}

// eachBuiltInEntry calls visit for the entries of modules.builtin.modinfo that
// have a key: "MODULE.KEY=VALUE", each ended by a NUL byte.
func eachBuiltInEntry(text []byte, key string, visit func(module, value string)) {
	for entry := range strings.SplitSeq(string(text), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		module, found := strings.CutSuffix(name, "."+key)
		if found && module != "" && value != "" {
			visit(module, value)
		}
	}
}
