package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
)

// call is one call of a command.
type call struct {
	ctx       context.Context
	dir       string
	arguments []string
	out, err  io.Writer
	applets   []string
}

// commands are those of the shell itself, with their exit codes.
var commands map[string]func(call) int

func init() {
	end := func(how func() error) func(call) int {
		return func(c call) int {
			return c.fail(how())
		}
	}
	commands = map[string]func(call) int{
		"cat": cat, "ls": ls, "reboot": end(apply.Reboot), "poweroff": end(apply.PowerOff), "halt": end(apply.Halt),
	}
}

// fail prints an error, if there is one.
func (c call) fail(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(c.err, "%s: %s\n", c.arguments[0], bootlog.Printable(err.Error()))
	return 1
}

func (c call) path(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// cat copies files to the output until they end or somebody interrupts.
func cat(c call) int {
	code := 0
	for _, name := range c.arguments[1:] {
		code = max(code, c.fail(c.copy(name)))
	}
	if len(c.arguments) == 1 {
		return c.fail(errors.New("name the files to print"))
	}
	return code
}

func (c call) copy(name string) error {
	file, err := os.Open(c.path(name))
	if err != nil {
		return err
	}
	defer file.Close()
	buf := make([]byte, 32<<10)
	for c.ctx.Err() == nil {
		n, err := file.Read(buf)
		if _, err := c.out.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return c.ctx.Err()
}

// ls lists names, with -l also modes, sizes, times and where links lead.
func ls(c call) int {
	names, long := c.arguments[1:], false
	for len(names) > 0 && strings.HasPrefix(names[0], "-") {
		if names[0] != "-l" {
			return c.fail(fmt.Errorf("unknown option %s: usage: ls [-l] [PATH]", names[0]))
		}
		names, long = names[1:], true
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	code := 0
	for _, name := range names {
		code = max(code, c.fail(c.list(name, len(names) > 1, long)))
	}
	return code
}

func (c call) list(name string, titled, long bool) error {
	info, err := os.Stat(c.path(name))
	if err != nil || !info.IsDir() {
		if info, err = os.Lstat(c.path(name)); err != nil {
			return err
		}
		c.entry(path.Dir(c.path(name)), name, info, long)
		return nil
	}
	entries, err := os.ReadDir(c.path(name))
	if err != nil {
		return err
	}
	if titled {
		fmt.Fprintf(c.out, "%s:\n", bootlog.Printable(name))
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			c.entry(c.path(name), entry.Name(), info, long)
		}
	}
	return nil
}

func (c call) entry(dir, name string, info os.FileInfo, long bool) {
	name = bootlog.Printable(name)
	if !long {
		if info.IsDir() {
			name += "/"
		}
		fmt.Fprintln(c.out, name)
		return
	}
	if target, err := os.Readlink(filepath.Join(dir, info.Name())); err == nil {
		name += " -> " + bootlog.Printable(target)
	}
	fmt.Fprintf(c.out, "%s %12d %s %s\n", info.Mode(), info.Size(), info.ModTime().Format("2006-01-02 15:04"), name)
}
