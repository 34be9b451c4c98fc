// Command multicall is bin/preroot: one program that is many by the name it is
// called by. It only picks the applet and hands on its exit code.
package main

import (
	"fmt"
	"os"
	"path"

	"github.com/preroot/preroot/applets/boot"
	"github.com/preroot/preroot/applets/bootrefresh"
	"github.com/preroot/preroot/applets/etcrules"
	"github.com/preroot/preroot/applets/merge"
	"github.com/preroot/preroot/applets/report"
	"github.com/preroot/preroot/applets/switchroot"
	"github.com/preroot/preroot/applets/verity"
)

// applets maps the names that a link may have in every profile to what they run. arguments[0] is the
// name.
var applets = map[string]func(arguments []string) int{
	"confext":         merge.Main,
	"etc-rules":       etcrules.Main,
	"merge":           merge.Main,
	"report":          report.Main,
	"switch_root":     switchroot.Main,
	"switchroot":      switchroot.Main,
	"sysext":          merge.Main,
	"systemd-confext": merge.Main,
	"systemd-sysext":  merge.Main,
	"verity":          verity.Main,
	"veritysetup":     verity.Main,
}

const usage = "call it as /init, as PID 1, or with an applet's name: preroot report, preroot verity, preroot merge"

func main() {
	// The boot lays it where systemd looks for a program of another name.
	if bootrefresh.IsCalled() {
		os.Exit(bootrefresh.Main(os.Args))
	}
	os.Exit(run(os.Getpid(), os.Args))
}

// run picks the applet: the name of the program, else, for "preroot NAME", the
// first argument. As PID 1 everything that is no applet is the boot.
func run(pid int, arguments []string) int {
	if len(arguments) == 0 {
		arguments = []string{"preroot"}
	}
	if applet := findApplet(path.Base(arguments[0])); applet != nil {
		return applet(arguments)
	}
	if pid == 1 {
		return boot.Main(program, arguments)
	}
	if len(arguments) == 2 && (arguments[1] == "--help" || arguments[1] == "-h") {
		fmt.Println(usage)
		return 0
	}
	if len(arguments) > 1 {
		if applet := findApplet(arguments[1]); applet != nil {
			return applet(arguments[1:])
		}
		fmt.Fprintf(os.Stderr, "preroot: unknown applet %q\n", arguments[1])
		return 1
	}
	fmt.Fprintln(os.Stderr, "preroot:", usage)
	return 1
}

// findApplet returns what a name runs, nil if it runs nothing.
func findApplet(name string) func(arguments []string) int {
	if applet := applets[name]; applet != nil {
		return applet
	}
	return shellApplet(name)
}
