// Command multicall is bin/preroot: one program that is many by the name it is
// called by. It only picks the applet and hands on its exit code.
package main

import (
	"fmt"
	"os"
	"path"

	"github.com/preroot/preroot/applets/boot"
	"github.com/preroot/preroot/applets/bootrefresh"
)

func main() {
	// The boot lays it where systemd looks for a program of another name.
	if bootrefresh.IsCalled() {
		os.Exit(bootrefresh.Main(os.Args))
	}
	os.Exit(run(os.Getpid(), os.Args))
}

// run picks the applet: the name of the program, else, for "preroot NAME", the
// first argument. As PID 1 everything that is no applet is the boot. Which applets there are is a matter of the profile.
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
	}
	fmt.Fprintln(os.Stderr, "preroot:", refusal(arguments[1:]))
	return 1
}
