// Package toolbox has the commands of the rescue shell: what a person needs to look at a machine whose boot failed, and to
// mend it, with the options and exit codes of the usual tools. It is in no program of the profile sealed.
//
// The shell starts this program again for each call, under the command's name, so that Ctrl-C ends it, whatever it waits for,
// and a bug in it costs the shell nothing.
//
// The commands are our own. u-root's pkg/core was given up by its makers, and 15 commands of it would add 237 kB (zstd -19) to
// bin/preroot. In v0.16.0 gzip removes a file after it could not be packed, and takes no standard input from a pipe; mv works
// within one file system only; cp takes its target from another directory than the shell's, and does not notice that a disk is
// full; xargs and find know no commands of a shell; chmod takes no special bits and tar no -z.
package toolbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/terminal"
)

// The groups of commands: what somebody wants to do.
const (
	SeeWhatFailed = "see what failed"
	LookAtTheDisk = "look at the disk"
	RepairVerity  = "repair verity"
	Files         = "files"
	Network       = "network"
	System        = "system"
)

// Command is a command of the shell.
type Command struct {
	Name, Group string
	// Usage is one line without "usage:".
	Usage string
	// Run returns the exit code. It may change what belongs to the whole process: call it in a process of its own.
	Run func(context.Context, Call) int
}

// Call is what a command is called with.
type Call struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Dir is what relative paths start from, "" for the directory of the process.
	Dir string
	// Arguments start with the name.
	Arguments []string
	// Applets are the names that this program can be called by; xargs and find run them, too.
	Applets []string
}

// Names returns the names of all commands, sorted.
func Names() []string {
	var names []string
	for _, e := range table() {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}

// Lookup returns a command by its name.
func Lookup(name string) (Command, bool) {
	all := table()
	i := slices.IndexFunc(all, func(e entry) bool { return e.name == name })
	if i < 0 {
		return Command{}, false
	}
	e := all[i]
	return Command{Name: e.name, Group: e.group, Usage: e.usage, Run: e.call}, true
}

// Main returns how this process becomes a command. applets are the names that the program can be called by.
func Main(applets []string) func(arguments []string) int {
	return func(arguments []string) int {
		arguments = slices.Clone(arguments)
		arguments[0] = filepath.Base(arguments[0])
		c, found := Lookup(arguments[0])
		if !found {
			fmt.Fprintf(os.Stderr, "%s: there is no such command\n", bootlog.Printable(arguments[0]))
			return 127
		}
		return c.Run(context.Background(), Call{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Arguments: arguments, Applets: applets})
	}
}

// entry is a line of the table.
type entry struct {
	name, group, usage string
	// trouble is the exit code after a wrong call and other trouble: what the usual tool returns.
	trouble int
	// run returns what ended the command; complain has already told of errors that did not.
	run func(*call) error
}

// call is one run of a command.
type call struct {
	context.Context
	Call
	entry
	// out is standard output. It is written at the end, before a complaint, and with flush.
	out *bufio.Writer
	// columns of the terminal that standard output is, 0 if it is none.
	columns int
	code    int
}

// exitCode ends a command with a code and without a message.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprint("exit code ", int(e)) }

// usageError says that a command was called in a wrong way.
type usageError string

func (e usageError) Error() string { return string(e) }

func wrongUse(format string, values ...any) error { return usageError(fmt.Sprintf(format, values...)) }

func (e entry) call(ctx context.Context, from Call) int {
	c := &call{Context: ctx, Call: from, entry: e, out: bufio.NewWriterSize(from.Stdout, 32<<10)}
	if file, ok := from.Stdout.(*os.File); ok {
		c.columns, _ = terminal.Width(file)
	}
	if len(c.Arguments) == 2 && c.Arguments[1] == "--help" {
		fmt.Fprintf(c.out, "usage: %s\n", e.usage)
		return c.end(nil)
	}
	return c.end(e.run(c))
}

// end tells what ended the command and returns the exit code.
func (c *call) end(err error) int {
	var code exitCode
	var wrong usageError
	switch {
	case err == nil:
	case errors.As(err, &code):
		c.code = int(code)
	case errors.As(err, &wrong):
		c.complain(err)
		fmt.Fprintf(c.Stderr, "usage: %s\n", c.usage)
		c.code = c.trouble
	default:
		c.complain(err)
	}
	if err := c.out.Flush(); err != nil {
		fmt.Fprintf(c.Stderr, "%s: write output: %v\n", c.name, err)
		c.code = c.trouble
	}
	return c.code
}

// complain prints an error and sets the exit code; the command may go on.
func (c *call) complain(err error) {
	_ = c.out.Flush()
	fmt.Fprintf(c.Stderr, "%s: %s\n", c.name, bootlog.Printable(reason(err)))
	c.code = c.trouble
}

// reason words an error in the way of the usual tools: the thing, and what the kernel says, without the name of its call.
func reason(err error) string {
	if path, ok := err.(*fs.PathError); ok {
		return path.Path + ": " + path.Err.Error()
	}
	if link, ok := err.(*os.LinkError); ok {
		return link.Old + " to " + link.New + ": " + link.Err.Error()
	}
	return err.Error()
}

// path returns where a name that was typed leads.
func (c *call) path(name string) string {
	if c.Dir == "" || filepath.IsAbs(name) || name == "" {
		return name
	}
	return filepath.Join(c.Dir, name)
}

// text makes a text that others chose fit for a terminal, and leaves it alone for programs and files.
func (c *call) text(text string) string {
	if c.columns > 0 {
		return bootlog.Printable(text)
	}
	return text
}

func (c *call) flush() { _ = c.out.Flush() }

// open opens a file for reading; "-" is standard input.
func (c *call) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(c.Stdin), nil
	}
	return os.Open(c.path(name))
}

// eachInput calls a function with each of the files, or with standard input if there are none. What fails is told, and the
// next file is next.
func (c *call) eachInput(names []string, function func(name string, r io.Reader) error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		r, err := c.open(name)
		if err == nil {
			err = function(name, r)
			r.Close()
		}
		if err != nil {
			c.complain(err)
		}
		if c.Err() != nil {
			return
		}
	}
}

// start runs another command to its end and returns its exit code: one of these, an applet, or a program.
func (c *call) start(arguments []string, stdin io.Reader) int {
	c.flush()
	next := c.Call
	next.Arguments, next.Stdin = arguments, stdin
	if command, found := Lookup(arguments[0]); found {
		return command.Run(c, next)
	}
	return c.execute(next, "")
}

// shorten is the form of a list of names for a message.
func shorten(names []string) string { return strings.Join(names[:min(len(names), 8)], " ") }
