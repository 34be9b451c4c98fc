package rescue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/applets/rescue/toolbox"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/sentinel"
)

// self is this program, whatever became of its file.
const self = "/proc/self/exe"

// killTime is how long an interrupted command may take to end.
const killTime = 2 * time.Second

// streams are where a shell reads and writes.
type streams struct{ in, out, err *os.File }

// shell is one interpreter with its state.
type shell struct {
	streams
	applets []string
	runner  *interp.Runner
	// boot is what is known of the boot that opened this shell, resume the words with which it shall go on; nil if it need not.
	boot   bootState
	resume *string

	mu     sync.Mutex
	cancel context.CancelFunc // of what runs now, nil if nothing does
}

func newShell(applets []string, files streams, name string, parameters []string) (*shell, error) {
	s := &shell{streams: files, applets: applets}
	environment := os.Environ()
	if os.Getenv("PATH") == "" {
		environment = append(environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	var err error
	s.runner, err = interp.New(
		interp.StdIO(files.in, files.out, files.err),
		interp.Env(expand.ListEnviron(environment...)),
		interp.Params(append([]string{"--"}, parameters...)...),
		interp.CallHandler(s.intercept),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.execute }),
	)
	return s, err
}

// execute runs what is no builtin of the language: a command of the toolbox, an applet, or a program.
func (s *shell) execute(ctx context.Context, arguments []string) error {
	hc := interp.HandlerCtx(ctx)
	name := arguments[0]
	if found, err := s.runOwn(ctx, hc, arguments); found {
		return err
	}
	if slices.Contains(s.applets, name) {
		return s.start(ctx, hc, self, arguments)
	}
	if tool, found := toolbox.Lookup(name); found {
		return status(runTool(tool, call{ctx, hc.Dir, arguments, hc.Stdout, hc.Stderr, s.applets}))
	}
	program, err := interp.LookPathDir(hc.Dir, hc.Env, name)
	if err != nil {
		fmt.Fprintf(hc.Stderr, "%s: not found; \"help\" lists what there is\n", name)
		return interp.ExitStatus(127)
	}
	return s.start(ctx, hc, program, arguments)
}

// start runs a program to its end. An interrupt reaches it through the terminal; here it is for those that are not on it.
func (s *shell) start(ctx context.Context, hc interp.HandlerContext, program string, arguments []string) error {
	command := exec.CommandContext(ctx, program)
	command.Args, command.Dir, command.Env = arguments, hc.Dir, environment(hc.Env)
	command.Stdin, command.Stdout, command.Stderr = hc.Stdin, hc.Stdout, hc.Stderr
	command.Cancel = func() error { return command.Process.Signal(unix.SIGINT) }
	command.WaitDelay = killTime
	err := command.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		if code := failed.ExitCode(); code >= 0 {
			return status(code)
		}
		if wait, ok := failed.Sys().(interface{ Signal() unix.Signal }); ok {
			return status(128 + int(wait.Signal()))
		}
		return status(1)
	}
	if err != nil {
		fmt.Fprintf(hc.Stderr, "%s: %v\n", arguments[0], err)
		return interp.ExitStatus(126)
	}
	return nil
}

// environment is what the shell exports.
func environment(env expand.Environ) []string {
	var list []string
	env.Each(func(name string, v expand.Variable) bool {
		if v.Exported && v.Kind == expand.String {
			list = append(list, name+"="+v.String())
		}
		return true
	})
	return list
}

func status(code int) error {
	if code == 0 {
		return nil
	}
	return interp.ExitStatus(uint8(code))
}

// runText runs a script and returns its exit code.
func (s *shell) runText(text, name string) int {
	file, err := syntax.NewParser().Parse(strings.NewReader(text), path.Base(name))
	if err != nil {
		fmt.Fprintln(s.err, "sh:", err)
		return 2
	}
	code, _ := s.run(file)
	return code
}

// run runs a part of a script. What goes wrong inside of the interpreter costs this part, not the shell.
func (s *shell) run(node syntax.Node) (code int, interrupted bool) {
	// Only Ctrl-C cancels it: what goes on in the background belongs to it, too.
	ctx, cancel := context.WithCancel(context.Background())
	s.setRunning(cancel)
	defer func() {
		s.setRunning(nil)
		if reason := recover(); reason != nil {
			fmt.Fprintln(s.err, "sh: the interpreter has a bug:", reason)
			code, interrupted = 125, true
		}
	}()
	err := s.runner.Run(ctx, node)
	var exit interp.ExitStatus
	switch {
	case ctx.Err() != nil:
		return 128 + int(unix.SIGINT), true
	case err == nil:
		return 0, false
	case errors.As(err, &exit):
		return int(exit), false
	}
	fmt.Fprintln(s.err, "sh:", err)
	return 1, false
}

func (s *shell) setRunning(cancel context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = cancel
}

// interrupt ends what runs.
func (s *shell) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

// newTerminal is the editor of a person at standard input, with completion.
func (s *shell) newTerminal() *terminal {
	c := completion{
		commands: func() []string { return append(s.commandNames(), programs(s.path())...) },
		dir:      func() string { return s.runner.Dir },
	}
	return newTerminal(s.in, s.out, c.complete)
}

// path is what the shell has in PATH.
func (s *shell) path() string {
	if v, found := s.runner.Vars["PATH"]; found {
		return v.String()
	}
	return s.runner.Env.Get("PATH").String()
}

// editor reads a line from a person.
type editor interface {
	// ReadLine returns errInterrupted for Ctrl-C, io.EOF for Ctrl-D, and other errors if nobody can type any more.
	ReadLine(prompt string) (string, error)
}

// errInterrupted says that what was typed shall be forgotten.
const errInterrupted = sentinel.Error("interrupted")

// interact reads and runs what a person types until they leave, or the terminal is lost. typed is called after every
// line.
func (s *shell) interact(e editor, typed func()) (code int, lost bool) {
	for {
		text, err := s.readCommand(e, typed)
		var file *syntax.File
		switch {
		case errors.Is(err, errInterrupted):
			continue
		case errors.Is(err, errLeft):
			fmt.Fprintln(s.out, "exit")
			return exitLeft, false
		case err != nil:
			return exitLost, true
		}
		if file, err = syntax.NewParser().Parse(strings.NewReader(text), ""); err != nil {
			fmt.Fprintln(s.err, "sh:", err)
			continue
		}
		for _, statement := range file.Stmts {
			code, interrupted := s.run(statement)
			if interrupted {
				// The library takes that for the end of the shell; a person does not.
				fmt.Fprintln(s.err)
				break
			}
			if s.runner.Exited() {
				return code, false
			}
		}
	}
}

// promptName says where one is: not in the system that should have been booted.
const promptName = "preroot rescue"

const errLeft = sentinel.Error("left with Ctrl-D")

// readCommand reads lines until they are a whole command, or can be none.
func (s *shell) readCommand(e editor, typed func()) (string, error) {
	prompt := promptName + ":" + bootlog.Printable(s.runner.Dir) + "# "
	text := ""
	// Who left only a subshell has not resumed.
	s.resume = nil
	for {
		line, err := e.ReadLine(prompt)
		if err != nil {
			return "", err
		}
		typed()
		text += line + "\n"
		if _, err = syntax.NewParser().Parse(strings.NewReader(text), ""); !syntax.IsIncomplete(err) {
			return text, nil
		}
		prompt = "> "
	}
}
