package merge

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/imagepolicy"
	"github.com/preroot/preroot/internal/osrelease"
)

// options are what was typed.
type options struct {
	command  string
	operands []string

	root          string // real path, "" for the running system
	image         string // a file with a system in it, mounted at root; "" for none
	mutable       string // canonical, "" if not given
	policy        *imagepolicy.Policy
	noExec        *bool
	force         bool
	strict        bool
	noReload      bool
	alwaysRefresh bool
	noLegend      bool
	json          string // "off", "pretty", "short"
	thaw          bool   // of drift
}

// option is one that can be typed.
type option struct {
	name        string
	hasArgument bool
	set         func(s *session, value string) (text string, err error)
}

var modes = []string{"no", "yes", "auto", "import", "ephemeral", "ephemeral-import"}

var optionTable = []option{
	{"help", false, func(s *session, _ string) (string, error) { return s.usage(), nil }},
	{"version", false, func(*session, string) (string, error) { return version, nil }},
	{"root", true, setRoot},
	{"image", true, func(s *session, value string) (string, error) { s.image = value; return "", nil }},
	{"mutable", true, setMutable},
	{"image-policy", true, func(s *session, value string) (string, error) {
		policy, err := imagepolicy.Parse(value)
		if err != nil {
			return "", failf("Failed to parse image policy: %s (%w)", value, err)
		}
		s.policy = &policy
		return "", nil
	}},
	{"noexec", true, func(s *session, value string) (string, error) {
		noExec, err := parseBoolean("--noexec", value)
		s.noExec = &noExec
		return "", err
	}},
	{"force", false, func(s *session, _ string) (string, error) { s.force = true; return "", nil }},
	{"no-reload", false, func(s *session, _ string) (string, error) { s.noReload = true; return "", nil }},
	{"always-refresh", true, func(s *session, value string) (_ string, err error) {
		s.alwaysRefresh, err = parseBoolean("--always-refresh", value)
		return "", err
	}},
	{"no-pager", false, func(*session, string) (string, error) { return "", nil }},
	{"no-legend", false, func(s *session, _ string) (string, error) { s.noLegend = true; return "", nil }},
	{"json", true, setJSON},
	{"thaw", false, func(s *session, _ string) (string, error) { s.thaw = true; return "", nil }},
	{"strict", false, func(s *session, _ string) (string, error) { s.strict = true; return "", nil }},
	{"class", true, func(s *session, value string) (string, error) {
		if value != string(osrelease.ClassConfext) && value != string(osrelease.ClassSysext) {
			return "", failf("Failed to parse argument to --class=: %s", value)
		}
		s.class = osrelease.Class(value)
		return "", nil
	}},
}

// parse reads the command line: options in any place up to "--", in full or cut as long as one remains. text is what --help and the
// like print instead of doing something.
func (s *session) parse(arguments []string) (text string, err error) {
	s.json = "off"
	var words []string
	for i := 0; i < len(arguments); i++ {
		argument := arguments[i]
		switch {
		case argument == "--":
			words = append(words, arguments[i+1:]...)
			i = len(arguments)
		case argument == "-h":
			return s.usage(), nil
		case strings.HasPrefix(argument, "--"):
			name, value, hasValue := strings.Cut(argument[2:], "=")
			o, err := s.findOption(name)
			if err != nil {
				return "", err
			}
			if hasValue && !o.hasArgument {
				return "", failf("%s: option '--%s' doesn't allow an argument", s.program, o.name)
			}
			if o.hasArgument && !hasValue {
				if i++; i == len(arguments) {
					return "", failf("%s: option '--%s' requires an argument", s.program, o.name)
				}
				value = arguments[i]
			}
			if text, err := o.set(s, value); text != "" || err != nil {
				return text, err
			}
		case len(argument) > 1 && argument[0] == '-':
			return "", failf("%s: unrecognized option '%s'", s.program, argument)
		default:
			words = append(words, argument)
		}
	}
	return s.parseCommand(words)
}

func (s *session) findOption(name string) (option, error) {
	var matching []option
	for _, o := range optionTable {
		if o.name == name {
			return o, nil
		}
		if strings.HasPrefix(o.name, name) {
			matching = append(matching, o)
		}
	}
	switch len(matching) {
	case 0:
		return option{}, failf("%s: unrecognized option '--%s'", s.program, name)
	case 1:
		return matching[0], nil
	}
	var possible []string
	for _, o := range matching {
		possible = append(possible, "--"+o.name)
	}
	return option{}, failf("%s: option '--%s' is ambiguous; possibilities: %s", s.program, name, strings.Join(possible, ", "))
}

func (s *session) parseCommand(words []string) (text string, err error) {
	s.command = "status"
	if len(words) > 0 {
		s.command, s.operands = words[0], words[1:]
	}
	if s.command == "help" {
		return s.usage(), nil
	}
	if findAction(s.command) == nil {
		return "", failf("Unknown command verb '%s'.", s.command)
	}
	if s.image != "" && (s.root != "" || s.command != "plan" && s.command != "explain" && s.command != "list") {
		return "", failf("--image= is for plan, explain and list, without --root=.")
	}
	wanted, most := 0, 0
	switch s.command {
	case "explain":
		wanted, most = 1, 1
	case "drift":
		most = 1
	}
	switch {
	case s.thaw && s.command != "drift":
		return "", failf("--thaw is for drift only.")
	case len(s.operands) > most:
		return "", failf("Too many arguments.")
	case len(s.operands) < wanted:
		return "", failf("Too few arguments.")
	}
	return "", nil
}

// setRoot resolves links: what is recorded of an image is its path below the real root.
func setRoot(s *session, value string) (string, error) {
	if value == "" {
		value = "/"
	}
	absolute, err := filepath.Abs(value)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err != nil {
		return "", failf("Failed to open root directory '%s': %s", value, cause(err))
	}
	if absolute != "/" {
		s.root = absolute
	}
	s.noReload = true
	return "", nil
}

// cause is an error without the path, which the message names, in a capital letter as in the C library's words and systemd's messages.
func cause(err error) string {
	if failed, ok := errors.AsType[*os.PathError](err); ok {
		err = failed.Err
	}
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

func setMutable(s *session, value string) (string, error) {
	if value == "help" {
		return "Known mutability modes:\n" + strings.Join(modes, "\n") + "\n", nil
	}
	mode, known := extension.ParseMode(value)
	if !known {
		return "", failf("Failed to parse argument to --mutable=: %s", value)
	}
	s.mutable = mode
	return "", nil
}

func setJSON(s *session, value string) (string, error) {
	formats := []string{"pretty", "short", "off"}
	if value == "help" {
		return strings.Join(formats, "\n") + "\n", nil
	}
	if !slices.Contains(formats, value) {
		return "", failf("Unknown argument to --json= switch: %s", value)
	}
	s.json = value
	return "", nil
}

func parseBoolean(option, value string) (bool, error) {
	// The booleans among the modes are systemd's.
	switch mode, _ := extension.ParseMode(value); mode {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, failf("Failed to parse boolean argument to '%s': %s", option, value)
}
