// Package rescue is the shell for a boot that failed or was stopped: a POSIX shell that runs in a process of its own on
// each console, and what PID 1 needs to open it. It is in no program of the profile sealed.
//
// The shell language is that of mvdan.cc/sh. It has no job control: a command that runs in the foreground can be
// interrupted, not suspended.
package rescue

import (
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

const usage = `usage: sh [-c COMMAND [NAME [ARGUMENT]...]] [FILE [ARGUMENT]...]
A POSIX shell with the commands of this program; "help" lists them.
`

// Exit codes of a session towards PID 1.
const (
	exitLeft   = 0
	exitDenied = 3
	exitLost   = 4
	exitResume = 5
)

// Main returns the applet "sh". applets are the names that this program can be called by.
func Main(applets []string) func(arguments []string) int {
	return func(arguments []string) int {
		if isSession() {
			return runSession(applets)
		}
		return run(applets, arguments)
	}
}

// run runs the shell as other programs call it.
func run(applets []string, arguments []string) int {
	options, text, code := parseArguments(arguments)
	if code >= 0 {
		return code
	}
	s, err := newShell(applets, streams{os.Stdin, os.Stdout, os.Stderr}, options.name, options.parameters)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		return 1
	}
	defer s.watchSignals()()
	switch {
	case text != nil:
		return s.runText(*text, options.name)
	case term.IsTerminal(0) && term.IsTerminal(1):
		code, _ := s.interact(s.newTerminal(), func() {})
		return code
	}
	script, err := io.ReadAll(io.LimitReader(os.Stdin, maxScript))
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		return 1
	}
	return s.runText(string(script), options.name)
}

// maxScript bounds a script, in bytes.
const maxScript = 16 << 20

type options struct {
	name       string
	parameters []string
}

// parseArguments reads the command line. text is what to run, nil for standard input; code is the exit code if nothing is
// to be run, else negative.
func parseArguments(arguments []string) (o options, text *string, code int) {
	o.name = arguments[0]
	rest := arguments[1:]
	switch {
	case len(rest) == 0:
		return o, nil, -1
	case rest[0] == "--help":
		fmt.Print(usage)
		return o, nil, 0
	case rest[0] == "-c" && len(rest) > 1:
		command := rest[1]
		if len(rest) > 2 {
			o.name, o.parameters = rest[2], rest[3:]
		}
		return o, &command, -1
	case rest[0] == "-" || rest[0] == "-s" || rest[0] == "-i":
		o.parameters = rest[1:]
		return o, nil, -1
	case rest[0] != "" && rest[0][0] == '-':
		fmt.Fprint(os.Stderr, usage)
		return o, nil, 2
	}
	file, err := os.Open(rest[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		return o, nil, 127
	}
	defer file.Close()
	script, err := io.ReadAll(io.LimitReader(file, maxScript))
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		return o, nil, 126
	}
	o.name, o.parameters = rest[0], rest[1:]
	content := string(script)
	return o, &content, -1
}

// watchSignals lets Ctrl-C end what runs and not the shell. Children get their own default back.
func (s *shell) watchSignals() (end func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTOU, unix.SIGTTIN)
	go func() {
		for received := range signals {
			if received == unix.SIGINT {
				s.interrupt()
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}
