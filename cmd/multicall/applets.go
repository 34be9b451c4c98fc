//go:build !sealed

package main

import (
	"fmt"

	"github.com/preroot/preroot/applets/etcrules"
	"github.com/preroot/preroot/applets/merge"
	"github.com/preroot/preroot/applets/report"
	"github.com/preroot/preroot/applets/switchroot"
	"github.com/preroot/preroot/applets/verity"
)

const usage = "call it as /init, as PID 1, or with an applet's name: preroot report, preroot verity, preroot merge"

// applets are the names that a link may have, besides those of the shell, with what they run. arguments[0] is the name.
var applets = []struct {
	name string
	run  func(arguments []string) int
}{
	{"confext", merge.Main},
	{"etc-rules", etcrules.Main},
	{"merge", merge.Main},
	{"report", report.Main},
	{"switch_root", switchroot.Main},
	{"switchroot", switchroot.Main},
	{"sysext", merge.Main},
	{"systemd-confext", merge.Main},
	{"systemd-sysext", merge.Main},
	{"verity", verity.Main},
	{"veritysetup", verity.Main},
}

// findApplet returns what a name runs, nil if it runs nothing.
func findApplet(name string) func(arguments []string) int {
	for _, applet := range applets {
		if applet.name == name {
			return applet.run
		}
	}
	return shellApplet(name)
}

// refusal says why a call runs nothing.
func refusal(arguments []string) string {
	if len(arguments) == 0 {
		return usage
	}
	return fmt.Sprintf("unknown applet %q", arguments[0])
}
