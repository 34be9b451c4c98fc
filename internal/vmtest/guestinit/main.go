// Command guestinit is /init of a test guest: it loads kernel modules, runs the
// test programs of the plan as root, marks their output on the console, and
// powers the machine off. It is no model for a real init: what is orphaned stays
// a zombie, since the machine ends with the last test.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/preroot/preroot/internal/vmtest/guestplan"
	"golang.org/x/sys/unix"
)

func main() {
	err := run()
	if err != nil {
		fmt.Fprintf(os.Stdout, "\n%s%v\n", guestplan.MarkProblem, err)
	} else {
		fmt.Fprintf(os.Stdout, "\n%s\n", guestplan.MarkDone)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		// PID 1 that exits panics the kernel, which ends the machine too.
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
}

func run() error {
	if err := mountAll(); err != nil {
		return err
	}
	if err := openConsole(); err != nil {
		return err
	}
	// The kernel's own lines would cut the tests' lines in two. A panic still
	// reaches the console.
	if err := quietKernel(); err != nil {
		return err
	}
	text, err := os.ReadFile(guestplan.File)
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	var plan guestplan.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	modules, err := openModules()
	if err != nil {
		return err
	}
	for _, p := range plan.Packages {
		for _, name := range p.Modules {
			if err := modules.load(name); err != nil {
				return fmt.Errorf("%s: %w", p.Path, err)
			}
		}
		if err := runPackage(p); err != nil {
			return err
		}
	}
	return nil
}

// runPackage runs one test program to its end. Only a program that cannot be
// started is an error.
func runPackage(p guestplan.Package) error {
	fmt.Printf("\n%s%s\n", guestplan.MarkBegin, p.Path)
	command := exec.Command(p.Program, p.Arguments...)
	command.Dir = p.Folder
	command.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LC_ALL=C"}
	// The console itself and no pipe: what a test leaves running in the
	// background must not keep this from seeing the end.
	command.Stdout, command.Stderr = os.Stdout, os.Stdout
	err := command.Run()
	var exit *exec.ExitError
	status := 0
	switch {
	case errors.As(err, &exit):
		status = exit.ExitCode()
		if wait, ok := exit.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
			status = 128 + int(wait.Signal())
		}
	case err != nil:
		return fmt.Errorf("run %s: %w", p.Path, err)
	}
	fmt.Printf("\n%s%s %d\n", guestplan.MarkEnd, p.Path, status)
	return nil
}
