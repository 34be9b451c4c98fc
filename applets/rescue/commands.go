package rescue

import (
	"context"
	"io"

	"mvdan.cc/sh/v3/interp"

	"github.com/preroot/preroot/applets/rescue/toolbox"
)

// call is one call of a command.
type call struct {
	ctx       context.Context
	dir       string
	arguments []string
	out, err  io.Writer
	applets   []string
}

// commands are run in the shell's own process, with their exit codes. In bin/preroot those of the toolbox are applets, and have a
// process of their own; a shell that is no part of it has them here. The table is filled below, since help reads it.
var commands map[string]func(call) int

func init() {
	commands = map[string]func(call) int{}
	for _, name := range toolbox.Names() {
		commands[name] = runTool
	}
	toolGroup = func(name string) string {
		tool, _ := toolbox.Lookup(name)
		return tool.Group
	}
}

// runTool runs a command of the toolbox.
func runTool(c call) int {
	tool, _ := toolbox.Lookup(c.arguments[0])
	return tool.Run(c.ctx, toolbox.Call{
		Stdin: interp.HandlerCtx(c.ctx).Stdin, Stdout: c.out, Stderr: c.err, Dir: c.dir, Arguments: c.arguments, Applets: c.applets,
	})
}
