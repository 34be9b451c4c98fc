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

// runTool runs a command of the toolbox in the shell's own process. In bin/preroot those commands are applets, and have a process of
// their own; a shell that is no part of it has them here.
func runTool(tool toolbox.Command, c call) int {
	return tool.Run(c.ctx, toolbox.Call{
		Stdin: interp.HandlerCtx(c.ctx).Stdin, Stdout: c.out, Stderr: c.err, Dir: c.dir, Arguments: c.arguments, Applets: c.applets,
	})
}
