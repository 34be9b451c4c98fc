package verity

import (
	"slices"
	"strings"
)

// text is what an option asks to print instead of running an action.
type requestedText int

const (
	textNone requestedText = iota
	textHelp
	textUsage
	textVersion
)

// parse reads the words behind the program's name as popt(3) does for
// veritysetup: options may stand anywhere, "--" ends them, short ones may be
// grouped and have their value attached. An error is a *misuse. The first word that
// is wrong counts, as does the first that asks for a text.
func parse(words []string, o *options) (requestedText, error) {
	*o = defaultOptions()
	var operands []string
	given := map[string]bool{}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		var err error
		var wants requestedText
		switch {
		case word == "--":
			operands = append(operands, words...)
			words = nil
		case strings.HasPrefix(word, "--"):
			wants, words, err = parseLong(word, words, o, given)
		case len(word) > 1 && word[0] == '-':
			wants, words, err = parseShort(word, words, o, given)
		default:
			operands = append(operands, word)
		}
		if err != nil || wants != textNone {
			return wants, err
		}
	}
	return textNone, o.checkOperands(operands, given)
}

// parseLong takes one long option, with its value, and returns the words left.
func parseLong(word string, words []string, o *options, given map[string]bool) (requestedText, []string, error) {
	name, value, attached := strings.Cut(word[2:], "=")
	found := findOption(func(candidate *option) bool { return candidate.long == name })
	if found == nil {
		return textNone, nil, &misuse{message: word + ": unknown option", anonymous: true}
	}
	if found.argument == "" && attached {
		return textNone, nil, &misuse{message: word + ": option does not take an argument", anonymous: true}
	}
	if found.argument != "" && !attached {
		if len(words) == 0 {
			return textNone, nil, &misuse{message: word + ": missing argument", anonymous: true}
		}
		value, words = words[0], words[1:]
	}
	wants, err := found.apply(value, o, given)
	return wants, words, err
}

// parseShort takes a group of short options. What follows one with a value in its
// word is that value.
func parseShort(word string, words []string, o *options, given map[string]bool) (requestedText, []string, error) {
	for i := 1; i < len(word); i++ {
		found := findOption(func(candidate *option) bool { return candidate.short == word[i] })
		if found == nil {
			return textNone, nil, &misuse{message: word + ": unknown option", anonymous: true}
		}
		value := ""
		if found.argument != "" {
			value = strings.TrimPrefix(word[i+1:], "=")
			if i+1 == len(word) {
				if len(words) == 0 {
					return textNone, nil, &misuse{message: word + ": missing argument", anonymous: true}
				}
				value, words = words[0], words[1:]
			}
			i = len(word)
		}
		if wants, err := found.apply(value, o, given); err != nil || wants != textNone {
			return wants, nil, err
		}
	}
	return textNone, words, nil
}

func findOption(is func(*option) bool) *option {
	for _, table := range [][]option{optionTable, ownOptions, textOptions} {
		for i := range table {
			if is(&table[i]) {
				return &table[i]
			}
		}
	}
	return nil
}

// apply stores an option's value.
func (found *option) apply(value string, o *options, given map[string]bool) (requestedText, error) {
	switch found.long {
	case "help":
		return textHelp, nil
	case "usage":
		return textUsage, nil
	case "version":
		return textVersion, nil
	}
	given[found.long] = true
	if found.store(o, value) {
		return textNone, nil
	}
	switch found.argument {
	case "word":
		return textNone, &misuse{message: "--" + found.long + " takes signed, verity or any"}
	case "file":
		return textNone, &misuse{message: "--" + found.long + " needs the name of a file"}
	}
	return textNone, &misuse{message: "invalid numeric value"}
}

// action is a command as it is typed.
type action struct {
	name string
	// operands is how many it needs at least, described what they are.
	operands  int
	described string
	help      string
	ours      bool
}

var actionTable = []action{
	{name: "format", operands: 2, described: "<data_device> <hash_device>", help: "format device"},
	{name: "verify", operands: 2, described: "<data_device> <hash_device> [<root_hash>]", help: "verify device"},
	{name: "open", operands: 3, described: "<data_device> <name> <hash_device> [<root_hash>]", help: "open device as <name>"},
	{name: "close", operands: 1, described: "<name>", help: "close device (remove mapping)"},
	{name: "status", operands: 1, described: "<name>", help: "show active device status"},
	{name: "dump", operands: 1, described: "<hash_device>", help: "show on-disk information"},
	{name: "trust", described: "[<certificate>...]", help: "let the kernel trust certificates, and no others from then on", ours: true},
}

// checkOperands finds the action and looks at what goes together, in the original's order.
func (o *options) checkOperands(operands []string, given map[string]bool) error {
	if len(operands) == 0 {
		return &misuse{message: "Argument <action> missing."}
	}
	name := operands[0]
	o.operands = slices.Clone(operands[1:])
	switch name {
	case "create":
		if len(o.operands) < 2 {
			return &misuse{message: "Unknown action."}
		}
		o.operands[0], o.operands[1] = o.operands[1], o.operands[0]
		name = "open"
	case "remove":
		name = "close"
	}
	i := slices.IndexFunc(actionTable, func(a action) bool { return a.name == name })
	if i < 0 {
		return &misuse{message: "Unknown action."}
	}
	o.action = name
	// Ours: found by the root hash, a device needs only a name.
	byRootHash := name == "open" && given["root-hash"]
	if byRootHash && len(o.operands) != 1 {
		return &misuse{message: "open: with --root-hash requires <name> and nothing else as arguments"}
	}
	if !byRootHash && len(o.operands) < actionTable[i].operands {
		return &misuse{message: name + ": requires " + actionTable[i].described + " as arguments"}
	}
	return o.checkCombination(given)
}

// checkCombination refuses options that do not belong to the action or to each other.
func (o *options) checkCombination(given map[string]bool) error {
	for _, table := range [][]option{optionTable, ownOptions} {
		for _, candidate := range table {
			if given[candidate.long] && len(candidate.actions) > 0 && !slices.Contains(candidate.actions, o.action) {
				return &misuse{message: "Option --" + candidate.long + " is not allowed with " + o.action + " action."}
			}
		}
	}
	switch {
	case o.cancelDeferred && o.deferred:
		return &misuse{message: "Options --cancel-deferred and --deferred cannot be used at the same time."}
	case o.ignoreCorruption && o.restartOnCorruption:
		return &misuse{message: "Option --ignore-corruption and --restart-on-corruption cannot be used together."}
	case o.panicOnCorruption && o.restartOnCorruption:
		return &misuse{message: "Option --panic-on-corruption and --restart-on-corruption cannot be used together."}
	case o.ignoreCorruption && o.panicOnCorruption:
		// The original takes that and drops the first.
		return &misuse{message: "Option --ignore-corruption and --panic-on-corruption cannot be used together."}
	case o.errorAsCorruption && !o.panicOnCorruption && !o.restartOnCorruption:
		return &misuse{message: "Option --error-as-corruption must be used with --panic-on-corruption or --restart-on-corruption."}
	case (o.repair || o.repairTo != "") && o.fecDevice == "":
		return &misuse{message: "Options --repair and --repair-to need --fec-device."}
	case o.repair && o.repairTo != "":
		return &misuse{message: "Options --repair and --repair-to cannot be used together."}
	}
	return nil
}
