// Package verity is the applet that replaces veritysetup(8): format, verify,
// open, close, status and dump of dm-verity devices, with the original's
// options, output and exit codes, and trust, which is ours.
//
// It parses what was typed and prints what came out. Trees, error correction,
// signatures and devices are the business of packages below internal/.
package verity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/terminal"
)

// session is one call of the applet.
type session struct {
	options
	// program is the name it was called by, for messages.
	program        string
	stdout, stderr io.Writer
	// interactive says that a person looks at stderr: progress and details are
	// wanted. terminalWidth is how much fits in a line there.
	interactive   bool
	terminalWidth int
	// workers is how many goroutines hash.
	workers int
}

// maxWorkers bounds the memory, half a MiB of data each.
const maxWorkers = 16

// actions are the commands by their canonical names.
var actions = []struct {
	name string
	run  func(context.Context, *session) error
}{
	{"format", runFormat},
	{"verify", runVerify},
	{"open", runOpen},
	{"close", runClose},
	{"status", runStatus},
	{"dump", runDump},
	{"trust", runTrust},
}

// findAction returns the command of a name, nil if there is none.
func findAction(name string) func(context.Context, *session) error {
	for _, known := range actions {
		if known.name == name {
			return known.run
		}
	}
	return nil
}

// Main runs the applet; arguments[0] is the name it was called by. The exit code
// is that of veritysetup for the class of the error, and 128 plus the number of
// the signal that ended it, which is what a shell makes of the original's end.
func Main(arguments []string) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	go func() {
		if number, ok := (<-signals).(unix.Signal); ok {
			cancel(&failure{code: 128 + int(number), lines: "Interrupted (" + number.String() + ")."})
		}
	}()
	s := &session{stdout: os.Stdout, stderr: os.Stderr, workers: min(runtime.GOMAXPROCS(0), maxWorkers)}
	s.terminalWidth, s.interactive = terminal.Width(os.Stderr)
	return s.run(ctx, arguments)
}

// run parses the arguments, runs the action, and tells how it ended.
func (s *session) run(ctx context.Context, arguments []string) int {
	s.program = arguments[0]
	text, err := parse(arguments[1:], &s.options)
	if misuse, ok := errors.AsType[*misuse](err); ok {
		fmt.Fprint(s.stderr, usageText(s.program))
		if misuse.anonymous {
			fmt.Fprintln(s.stderr, misuse.message)
		} else {
			fmt.Fprintf(s.stderr, "%s: %s\n", s.program, misuse.message)
		}
		return exitParameters
	}
	switch text {
	case textHelp:
		fmt.Fprint(s.stdout, helpText(s.program))
		return 0
	case textUsage:
		// Not on standard output, as in the original.
		fmt.Fprint(s.stderr, usageText(s.program))
		return 0
	case textVersion:
		fmt.Fprintln(s.stdout, versionText)
		return 0
	}
	s.debugf("%s processing %q", versionText, arguments)
	s.debugf("Running command %s.", s.action)
	err = findAction(s.action)(ctx, s)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return s.end(err)
}

// end prints what is left to say and returns the exit code.
func (s *session) end(err error) int {
	if err == nil {
		if s.verbose {
			fmt.Fprintln(s.stdout, "Command successful.")
		}
		return 0
	}
	code := exitParameters
	lines := err.Error()
	if f, ok := errors.AsType[*failure](err); ok {
		code, lines = f.code, f.lines
		if f.cause != nil {
			s.explain(f.cause.Error())
		}
	}
	if lines != "" {
		fmt.Fprintln(s.stderr, lines)
	}
	if s.verbose {
		fmt.Fprintf(s.stdout, "Command failed with code -%d (%s).\n", code, codeText(code))
	}
	return code
}

// explain tells a person what scripts do not expect: on a terminal, or when all
// was asked for. With --verbose alone the original prints no more errors than without.
func (s *session) explain(line string) {
	if s.interactive || s.debug {
		fmt.Fprintf(s.stderr, "%s: %s\n", s.program, line)
	}
}

// debugf prints a line for --debug, as the original does.
func (s *session) debugf(format string, values ...any) {
	if s.debug {
		fmt.Fprintf(s.stdout, "# "+format+"\n", values...)
	}
}
