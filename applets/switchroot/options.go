package switchroot

import (
	"fmt"
	"os"
	"strings"
)

const usage = `
Usage:
 switch_root [options] <newrootdir> <init> <args to init>

Switch to another filesystem as the root of the mount tree.

Options:
 -c, --console <device> give init this console, a path in the new root
     --check            only check whether the switch would work; change nothing
 -h, --help             display this help
 -V, --version          display version

It must be PID 1: end the script of an initramfs with exec switch_root ...
All files of the initramfs are deleted, mounts are not touched; /dev, /proc,
/sys and /run move along. It exits with 1 on failure, and never on success; as
PID 1 it restarts the machine on failure, panic= seconds later.
`

// versionText starts as that of util-linux does.
const versionText = "switch_root from preroot (util-linux 2.38 compatible)\n"

// options are what is on the command line.
type options struct {
	newRoot string
	// program is the init, inside the new root, with its arguments.
	program []string
	console string
	check   bool
}

// usageError is a command line that is not understood.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// parse reads the command line as getopt(3) does with "+": options end at the first operand, so that those of init are
// init's. done says that it only asked for a text, which was printed.
func parse(arguments []string) (o options, done bool, err error) {
	for len(arguments) > 0 && strings.HasPrefix(arguments[0], "-") && arguments[0] != "-" {
		word := arguments[0]
		arguments = arguments[1:]
		if word == "--" {
			break
		}
		long, value, hasValue := strings.Cut(word, "=")
		switch {
		case word == "-h" || word == "--help":
			_, err := os.Stdout.WriteString(usage)
			return o, err == nil, err
		case word == "-V" || word == "--version":
			_, err := os.Stdout.WriteString(versionText)
			return o, err == nil, err
		case word == "--check":
			o.check = true
		case word == "-c" || word == "--console":
			if len(arguments) == 0 {
				return o, false, &usageError{fmt.Sprintf("option '%s' requires an argument", word)}
			}
			o.console, arguments = arguments[0], arguments[1:]
		case long == "--console" && hasValue:
			o.console = value
		case strings.HasPrefix(word, "-c"):
			o.console = word[2:]
		case strings.HasPrefix(word, "--"):
			return o, false, &usageError{fmt.Sprintf("unrecognized option %s", quote(word))}
		default:
			return o, false, &usageError{fmt.Sprintf("invalid option -- %s", quote(word[1:2]))}
		}
	}
	if len(arguments) < 2 || arguments[0] == "" || arguments[1] == "" {
		return o, false, &usageError{"not enough arguments"}
	}
	o.newRoot, o.program = arguments[0], arguments[1:]
	return o, false, nil
}

// quote shows a word in single quotes, as getopt(3) does, without what a terminal would act on.
func quote(word string) string {
	text := fmt.Sprintf("%q", word)
	return "'" + text[1:len(text)-1] + "'"
}
