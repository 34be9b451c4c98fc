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
// (nofail, auto, x-…, comment=) are dropped; the rest, in its order, is for the
// file system. Commas inside double quotes do not separate, and one pair of
// quotes around a value is taken off. "key=" is the same as "key".
func ParseOptions(list string) (options []Option, attributes Attributes) {
	for _, word := range splitOptions(list) {
		key, value, _ := strings.Cut(word, "=")
		o := Option{Key: key, Value: unquote(value)}
		if set, clear, known := attributeOf(o.String()); known {
			attributes = attributes&^clear | set
			continue
		}
		if word != "" && !isForUserSpace(o) {
			options = append(options, o)
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

func unquote(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// isForUserSpace tells the words that mount(8) and systemd read, and no file
// system knows.
func isForUserSpace(o Option) bool {
	switch o.String() {
	case "defaults", "auto", "noauto", "nofail", "_netdev", "nouser", "nousers", "noowner", "nogroup", "silent", "loud":
		return true
	}
	return strings.HasPrefix(o.Key, "x-") || strings.HasPrefix(o.Key, "X-") || o.Key == "comment"
}

// attributeOf tells what a word of mount(8)'s file-system-independent options
// does to the attributes.
func attributeOf(word string) (set, clear Attributes, known bool) {
	const atime = NoATime | StrictATime
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
	case "nosymfollow":
		return NoSymFollow, 0, true
	case "symfollow":
		return 0, NoSymFollow, true
	case "nodiratime":
		return NoDirATime, 0, true
	case "diratime":
		return 0, NoDirATime, true
	case "noatime":
		return NoATime, atime, true
	case "strictatime":
		return StrictATime, atime, true
	case "relatime":
		return 0, atime, true
	case "atime":
		return 0, NoATime, true
	case "nostrictatime":
		return 0, StrictATime, true
	case "norelatime":
		return 0, 0, true
	case "user", "users":
		// Who may mount is decided elsewhere; what it implies is not.
		return NoSUID | NoDev | NoExec, 0, true
	case "owner", "group":
		return NoSUID | NoDev, 0, true
	}
	return 0, 0, false
}
