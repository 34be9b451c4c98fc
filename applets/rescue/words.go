package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/preroot/preroot/applets/rescue/toolbox"
	"github.com/preroot/preroot/internal/bootlog"
)

// ownWord is a command of the shell itself: it needs what only the shell knows.
type ownWord struct {
	usage, about string
	run          func(s *shell, c ownCall) error
}

// ownCall is one call of such a command.
type ownCall struct {
	interp.HandlerContext
	ctx       context.Context
	arguments []string
}

// fail prints an error and returns the exit code.
func (c ownCall) fail(code int, format string, values ...any) error {
	fmt.Fprintln(c.Stderr, c.arguments[0]+": "+bootlog.Printable(fmt.Sprintf(format, values...)))
	return status(code)
}

// ownWords are made when somebody asks for them: a table of the package would be made at each start of the program.
func ownWords() map[string]ownWord {
	return map[string]ownWord{
		"help": {"help [NAME]", "Lists what there is, by what somebody wants to do, or tells more of one command.", (*shell).help},
		"why": {"why", "Tells again why the boot stopped: the cause, the step that failed and what it waited for, the steps before it and " +
			"those to come.", (*shell).why},
		"resume": {"resume [WORD[=VALUE]...]", "Leaves the shell and goes on with the boot: the step that failed is done again, those before " +
			"it are not. Words are put behind the kernel command line, so that they count more than those there: a wrong root device is " +
			"corrected by \"resume root=/dev/vda4\". What was opened or mounted already cannot be changed by a word. The report of the boot " +
			"tells of it. At a breakpoint it is the same as \"exit\".", (*shell).refuseResume},
	}
}

// ownHelp cannot be typed by accident: the library's help lists its own words, in 160 columns.
const ownHelp = "preroot help"

// intercept sees each command before the library does.
func (s *shell) intercept(_ context.Context, arguments []string) ([]string, error) {
	switch arguments[0] {
	case "help":
		return append([]string{ownHelp}, arguments[1:]...), nil
	case "kill":
		// The library has the word and not the command.
		return append([]string{self}, arguments...), nil
	case "resume":
		words, err := joinWords(arguments[1:])
		if err == nil && s.boot.resumable {
			s.resume = &words
			return []string{"exit"}, nil
		}
	}
	return arguments, nil
}

// runOwn runs a command of the shell itself, if it is one.
func (s *shell) runOwn(ctx context.Context, hc interp.HandlerContext, arguments []string) (found bool, err error) {
	name := strings.TrimPrefix(arguments[0], "preroot ")
	own, found := ownWords()[name]
	if !found {
		return false, nil
	}
	arguments[0] = name
	if len(arguments) == 2 && arguments[1] == "--help" {
		_, _ = io.WriteString(hc.Stdout, own.text())
		return true, nil
	}
	return true, own.run(s, ownCall{hc, ctx, arguments})
}

// why prints what PID 1 has said of the failure.
func (s *shell) why(c ownCall) error {
	switch {
	case len(c.arguments) > 1:
		return c.fail(2, "usage: %s", ownWords()["why"].usage)
	case s.boot.why == "":
		return c.fail(1, "this shell was not opened by a boot that stopped; \"report\" shows how the last one went")
	}
	_, err := io.WriteString(c.Stdout, s.boot.why)
	return err
}

// refuseResume says why the boot does not go on: if it can, intercept sees to it.
func (s *shell) refuseResume(c ownCall) error {
	_, err := joinWords(c.arguments[1:])
	if err == nil {
		err = errors.New("there is no boot to go on with: this shell was not opened by one")
		if s.boot.notResumable != "" {
			err = errors.New(s.boot.notResumable)
		}
	}
	return c.fail(1, "%v", err)
}

// maxWords bounds what is put behind the kernel command line, in bytes.
const maxWords = 2048

// joinWords makes a part of a kernel command line of the arguments. Its quotes can neither be nested nor escaped.
func joinWords(arguments []string) (string, error) {
	var words []string
	for _, argument := range arguments {
		key, _, _ := strings.Cut(argument, "=")
		if key == "" || strings.HasPrefix(key, "-") || strings.ContainsAny(key, " \t") {
			return "", fmt.Errorf("%q is no word for the kernel command line; usage: %s", argument, ownWords()["resume"].usage)
		}
		if strings.ContainsFunc(argument, func(r rune) bool { return r < ' ' || r == '"' || r == 0x7f }) {
			return "", fmt.Errorf("%q has a character that cannot stand on a kernel command line", argument)
		}
		if strings.Contains(argument, " ") {
			argument = `"` + argument + `"`
		}
		words = append(words, argument)
	}
	text := strings.Join(words, " ")
	if len(text) > maxWords {
		return "", fmt.Errorf("%d bytes of words, at most %d are good", len(text), maxWords)
	}
	return text, nil
}

// commandNames are all that a command may begin with, but for programs in PATH.
func (s *shell) commandNames() []string {
	names := slices.Concat(s.applets, toolbox.Names())
	for name := range ownWords() {
		names = append(names, name)
	}
	names = append(names, shellWords...)
	for name := range s.runner.Funcs {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// shellWords are those of the language that somebody may look for.
var shellWords = []string{
	"alias", "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif", "else", "esac", "eval", "exec", "exit", "export", "false", "fi",
	"for", "function", "if", "local", "printf", "pwd", "read", "return", "set", "shift", "source", "test", "then", "trap", "true", "type", "umask", "unset",
	"until", "wait", "while",
}

// isShellWord reports whether a name is one of the language.
func isShellWord(name string) bool {
	return interp.IsBuiltin(name) || slices.Contains(shellWords, name) || syntax.IsKeyword(name)
}
