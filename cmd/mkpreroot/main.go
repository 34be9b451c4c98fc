// Command mkpreroot builds preroot images on a host. It is never part of one.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake in the command line.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

const usage = `Usage: mkpreroot COMMAND [OPTION]...

Commands:
  build   build an image: kernel modules, /init and settings in one archive
  list    list what an image holds, ours or another's, and why
  verify  compare an image with its manifest, or build it again and compare
  check-tmpfiles FILE...
          fail if a tmpfiles.d file of the image has lines that the rules for
          /etc do not understand
  passphrase-hash
          read a passphrase and print what PassphraseHash= in [Failure] of
          preroot.conf takes

"mkpreroot COMMAND --help" lists a command's options.
`

func main() {
	stop, caught := catchSignals()
	code := run(stop, os.Args[1:], os.Stdout, os.Stderr)
	if s := caught(); s != nil {
		dieOf(s)
	}
	os.Exit(code)
}

// run executes one command line and gives the exit code.
func run(stop context.Context, arguments []string, stdout, stderr io.Writer) int {
	if len(arguments) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	var err error
	switch arguments[0] {
	case "build":
		err = runBuild(stop, arguments[1:], stdout, stderr)
	case "list":
		err = runList(arguments[1:], stdout)
	case "verify":
		err = runVerify(stop, arguments[1:], stdout, stderr)
	case "check-tmpfiles":
		err = runCheckTmpfiles(arguments[1:], stdout)
	case "passphrase-hash":
		err = runPassphraseHash(arguments[1:], os.Stdin, stdout, stderr)
	case "help", "--help", "-h":
		fmt.Fprint(stdout, usage)
	default:
		err = usageError{fmt.Sprintf("unknown command %q", arguments[0])}
	}
	var wrong usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "mkpreroot: %v (see \"mkpreroot --help\")\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "mkpreroot: %v\n", err)
	return exitFailed
}
