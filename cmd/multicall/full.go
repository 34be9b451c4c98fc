//go:build !sealed

package main

import (
	"slices"

	"github.com/preroot/preroot/applets/boot"
	"github.com/preroot/preroot/applets/rescue"
	"github.com/preroot/preroot/applets/rescue/toolbox"
)

// program is the profile with a shell.
var program = boot.Program{
	Profile: "full",
	Shell: func(o boot.Offer) (boot.Outcome, error) {
		end, err := rescue.Offer(o).Open()
		return boot.Outcome(end), err
	},
}

// shellApplet returns the shell, or a command that it has besides the applets of every profile; nil for other names.
func shellApplet(name string) func(arguments []string) int {
	if name == "sh" {
		return rescue.Main(allNames())
	}
	if _, found := toolbox.Lookup(name); found {
		return toolbox.Main(allNames())
	}
	return nil
}

// allNames are those that this program can be called by, sorted.
func allNames() []string {
	names := append(toolbox.Names(), "sh")
	for _, applet := range applets {
		names = append(names, applet.name)
	}
	slices.Sort(names)
	return names
}
