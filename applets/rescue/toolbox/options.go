package toolbox

import "strings"

// given is an option on the command line, by its letter.
type given struct {
	letter byte
	value  string
}

// options are those of a call in the order in which they were given.
type options []given

// has reports whether one of the letters was given.
func (o options) has(letters string) bool {
	for _, g := range o {
		if strings.IndexByte(letters, g.letter) >= 0 {
			return true
		}
	}
	return false
}

// value returns the last value of an option.
func (o options) value(letter byte) (value string, found bool) {
	for _, g := range o {
		if g.letter == letter {
			value, found = g.value, true
		}
	}
	return value, found
}

// last returns which of the letters was given last, 0 if none was.
func (o options) last(letters string) (letter byte) {
	for _, g := range o {
		if strings.IndexByte(letters, g.letter) >= 0 {
			letter = g.letter
		}
	}
	return letter
}

// known is an option that a command has.
type known struct {
	letter byte
	long   string
	value  bool
}

// readSpec reads a list such as "a/all n:/lines": a letter, ":" if it takes a value, and the long name.
func readSpec(spec string) []known {
	var all []known
	for word := range strings.FieldsSeq(spec) {
		k := known{letter: word[0]}
		rest := word[1:]
		if rest, k.value = strings.CutPrefix(rest, ":"); rest != "" {
			k.long = rest[1:]
		}
		all = append(all, k)
	}
	return all
}

// parse reads the arguments: options of spec (see readSpec) in any place, as short letters that may stand together, or long
// names that may be shortened. "--" ends them. A spec that begins with "+" ends them at the first operand, which is the name of
// a command with options of its own. Capital letters that no tool has stand for options with a long name only.
func (c *call) parse(spec string) (set options, operands []string, err error) {
	spec, first := strings.CutPrefix(spec, "+")
	all := readSpec(spec)
	arguments := c.Arguments[1:]
	for len(arguments) > 0 {
		word := arguments[0]
		arguments = arguments[1:]
		switch {
		case word == "--":
			return set, append(operands, arguments...), nil
		case strings.HasPrefix(word, "--"):
			g, rest, err := long(all, word[2:], arguments)
			if err != nil {
				return nil, nil, err
			}
			set, arguments = append(set, g), rest
		case len(word) > 1 && word[0] == '-':
			short, rest, err := letters(all, word[1:], arguments)
			if err != nil {
				return nil, nil, err
			}
			set, arguments = append(set, short...), rest
		case first:
			return set, append([]string{word}, arguments...), nil
		default:
			operands = append(operands, word)
		}
	}
	return set, operands, nil
}

func letters(all []known, word string, next []string) (set options, rest []string, err error) {
	for i := range len(word) {
		k := findKnown(all, func(k known) bool { return k.letter == word[i] })
		switch {
		case k == nil:
			return nil, nil, wrongUse("there is no option -%c", word[i])
		case !k.value:
			set = append(set, given{k.letter, ""})
		case i+1 < len(word):
			return append(set, given{k.letter, word[i+1:]}), next, nil
		case len(next) == 0:
			return nil, nil, wrongUse("option -%c needs a value", word[i])
		default:
			return append(set, given{k.letter, next[0]}), next[1:], nil
		}
	}
	return set, next, nil
}

func long(all []known, word string, next []string) (g given, rest []string, err error) {
	name, value, hasValue := strings.Cut(word, "=")
	k := findKnown(all, func(k known) bool { return k.long == name })
	if k == nil && name != "" {
		k = findKnown(all, func(k known) bool { return strings.HasPrefix(k.long, name) })
	}
	switch {
	case k == nil || name == "":
		return g, nil, wrongUse("there is no option --%s", name)
	case hasValue && !k.value:
		return g, nil, wrongUse("option --%s takes no value", k.long)
	case !k.value:
		return given{k.letter, ""}, next, nil
	case hasValue:
		return given{k.letter, value}, next, nil
	case len(next) == 0:
		return g, nil, wrongUse("option --%s needs a value", k.long)
	}
	return given{k.letter, next[0]}, next[1:], nil
}

func findKnown(all []known, is func(known) bool) *known {
	for i := range all {
		if is(all[i]) {
			return &all[i]
		}
	}
	return nil
}
