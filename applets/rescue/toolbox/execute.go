package toolbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// execute runs a program to its end, with another root if root is not empty, and returns its exit code: 127 if there is no such
// program, 126 if it cannot be executed.
func (c *call) execute(next Call, root string) int {
	program := next.Arguments[0]
	if root == "" && slices.Contains(c.Applets, program) {
		program = "/proc/self/exe"
	}
	if !strings.Contains(program, "/") {
		found, err := lookPath(program, root)
		switch {
		case err == nil:
			program = found
		case root == "" && slices.Contains(c.Applets, "sh"):
			// The shell knows more, such as echo, which xargs calls by itself.
			program, next.Arguments = "/proc/self/exe", append([]string{"sh", "-c", `"$@"`, c.name}, next.Arguments...)
		default:
			fmt.Fprintf(c.Stderr, "%s: %s: %v\n", c.name, program, err)
			return 127
		}
	}
	command := exec.CommandContext(c, program)
	command.Path, command.Err = program, nil
	command.Args, command.Dir = next.Arguments, next.Dir
	command.Stdin, command.Stdout, command.Stderr = next.Stdin, next.Stdout, next.Stderr
	if root != "" {
		command.Dir, command.SysProcAttr = "/", &unix.SysProcAttr{Chroot: root}
	}
	err := command.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		if wait, ok := failed.Sys().(interface{ Signal() unix.Signal }); ok && failed.ExitCode() < 0 {
			return 128 + int(wait.Signal())
		}
		return failed.ExitCode()
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, unix.ENOENT):
		fmt.Fprintf(c.Stderr, "%s: %s: %v\n", c.name, next.Arguments[0], lastCause(err))
		return 127
	}
	fmt.Fprintf(c.Stderr, "%s: %s: %v\n", c.name, next.Arguments[0], lastCause(err))
	return 126
}

// lookPath finds a program in $PATH, below another root if there is one.
func lookPath(name, root string) (string, error) {
	list := os.Getenv("PATH")
	if list == "" {
		list = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	for directory := range strings.SplitSeq(list, ":") {
		path := filepath.Join("/", directory, name)
		info, err := os.Stat(filepath.Join("/", root, path))
		if root != "" && errors.Is(err, unix.ENOENT) {
			// An absolute link leads somewhere else from here.
			info, err = os.Lstat(filepath.Join("/", root, path))
		}
		if err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", errors.New("not found")
}

// chroot runs a program, a shell if none is named, with another root.
func chroot(c *call) error {
	_, words, err := c.parse("+")
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return wrongUse("name the new root")
	}
	root, err := filepath.Abs(c.path(words[0]))
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Stat(root, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err == nil {
			err = unix.ENOTDIR
		}
		return fmt.Errorf("%s: %w", words[0], err)
	}
	next := c.Call
	next.Arguments = words[1:]
	if len(next.Arguments) == 0 {
		next.Arguments = []string{"/bin/sh", "-i"}
	}
	return exitCode(c.execute(next, root))
}

// xargs runs a command with what standard input lists as arguments.
func xargs(c *call) error {
	set, command, err := c.parse("+0/null I: n:/max-args r/no-run-if-empty t/verbose")
	if err != nil {
		return err
	}
	if len(command) == 0 {
		command = []string{"echo"}
	}
	limit := 1000
	if text, given := set.value('n'); given {
		n, err := parseSize(text)
		if err != nil || n < 1 {
			return wrongUse("-n %s: it is no number of arguments", text)
		}
		limit = int(min(n, 1000))
	}
	replaced, replaces := set.value('I')
	if replaces {
		limit = 1
	}
	x := &argumentReader{c: c, command: command, limit: limit, replaced: replaced, trace: set.has("t")}
	switch {
	case set.has("0"):
		err = x.split(c.Stdin, "\x00")
	case replaces:
		err = x.split(c.Stdin, "\n")
	default:
		err = x.words(c.Stdin)
	}
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if len(x.list) > 0 || !x.ran && !set.has("r") && !replaces {
		_ = x.run()
	}
	return exitCode(x.code)
}

// argumentReader collects arguments and runs the command when it has enough.
type argumentReader struct {
	c        *call
	command  []string
	list     []string
	size     int
	limit    int
	replaced string
	trace    bool
	ran      bool
	code     int
}

// maxArguments bounds the arguments of one call, in bytes.
const maxArguments = 96 << 10

func (x *argumentReader) add(argument string) error {
	if len(x.list) > 0 && (len(x.list) == x.limit || x.size+len(argument) > maxArguments) {
		if err := x.run(); err != nil {
			return err
		}
	}
	x.list, x.size = append(x.list, argument), x.size+len(argument)+1
	return nil
}

// run runs the command. What it returns ends the reading.
func (x *argumentReader) run() error {
	line := append(append([]string{}, x.command...), x.list...)
	if x.replaced != "" {
		line = append([]string{}, x.command...)
		for i := range line {
			line[i] = strings.ReplaceAll(line[i], x.replaced, x.list[0])
		}
	}
	x.list, x.size, x.ran = nil, 0, true
	if x.trace {
		fmt.Fprintln(x.c.Stderr, strings.Join(line, " "))
	}
	code := x.c.start(line, strings.NewReader(""))
	switch {
	case code == 0:
	case code == 255:
		x.code = 124
		return errEnough
	case code == 126 || code == 127:
		x.code = code
		return errEnough
	default:
		x.code = 123
	}
	return x.c.Err()
}

// split takes what stands between separators as it is; lines lose the blanks before them, and empty ones are none.
func (x *argumentReader) split(r io.Reader, separator string) error {
	data, err := io.ReadAll(io.LimitReader(r, maxTail))
	if err != nil || len(data) == 0 {
		return err
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(string(data), separator), separator) {
		if separator == "\n" {
			if part = strings.TrimLeft(part, " \t"); part == "" {
				continue
			}
		}
		if err := x.add(part); err != nil {
			return err
		}
	}
	return nil
}

// words reads words between blanks, with quotes and backslashes as in a shell.
func (x *argumentReader) words(r io.Reader) error {
	return eachLine(r, func(line []byte) error {
		var word []byte
		inWord := false
		quote := byte(0)
		for i := 0; i < len(line); i++ {
			char := line[i]
			switch {
			case quote != 0 && char == quote:
				quote = 0
			case quote != 0:
				word = append(word, char)
			case char == '\'' || char == '"':
				quote, inWord = char, true
			case char == '\\' && i+1 < len(line):
				i++
				word, inWord = append(word, line[i]), true
			case char == ' ' || char == '\t':
				if inWord {
					if err := x.add(string(word)); err != nil {
						return err
					}
				}
				word, inWord = nil, false
			default:
				word, inWord = append(word, char), true
			}
		}
		if quote != 0 {
			return fmt.Errorf("a %c is not closed; -0 takes names as they are", quote)
		}
		if inWord {
			return x.add(string(word))
		}
		return nil
	})
}
