package mountapi

import "strings"

// String returns the option as it is written in a mount option list.
func (o Option) String() string {
	if o.Value == "" {
		return o.Key
	}
	return o.Key + "=" + o.Value
}

// ParseOptions takes a comma separated option list, as in rootflags= or
// fstab(5), apart. Words that name attributes of a mount are collected, later
// ones winning over earlier ones; "defaults" and what only user space knows
// (nofail, auto, x-…, comment=) are dropped; the rest is for the file system. Commas inside double quotes do not separate.
func ParseOptions(list string) (options []Option, attributes Attributes) {
	for _, word := range splitOptions(list) {
		set, clear, known := attributeOf(word)
		switch {
		case known:
			attributes = attributes&^clear | set
		case word == "", word == "defaults", word == "auto", word == "noauto", word == "nofail",
			word == "_netdev", word == "async", word == "nouser",
			strings.HasPrefix(word, "x-"), strings.HasPrefix(word, "X-"), strings.HasPrefix(word, "comment="):
		default:
			key, value, _ := strings.Cut(word, "=")
			options = append(options, Option{Key: key, Value: strings.Trim(value, `"`)})
		}
	}
	return options, attributes
}

func splitOptions(list string) []string {
	var words []string
	quoted, start := false, 0
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '"':
			quoted = !quoted
		case list[i] == ',' && !quoted:
			words = append(words, list[start:i])
			start = i + 1
		}
	}
	return append(words, list[start:])
}

// attributeOf tells what a word of mount(8)'s file-system-independent options
// does to the attributes.
func attributeOf(word string) (set, clear Attributes, known bool) {
	const atime = Attributes(NoATime | StrictATime)
	switch word {
	case "ro":
		return ReadOnly, 0, true
	case "rw":
		return 0, ReadOnly, true
	case "nosuid":
		return NoSUID, 0, true
	case "suid":
		return 0, NoSUID, true
	case "nodev":
		return NoDev, 0, true
	case "dev":
		return 0, NoDev, true
	case "noexec":
		return NoExec, 0, true
	case "exec":
		return 0, NoExec, true
	case "noatime":
		return NoATime, atime, true
	case "strictatime":
		return StrictATime, atime, true
	case "relatime", "atime", "norelatime":
		return 0, atime, true
	}
	return 0, 0, false
}
