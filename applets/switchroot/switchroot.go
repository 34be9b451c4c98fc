// Package switchroot is the applet switch_root(8): from an initramfs to the real root. It is for other initrds; preroot's
// own boot does the same by the same code.
package switchroot

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/rootdir"
)

// readingTime is how long a failure of PID 1 stays on the screen before the restart, unless panic= says otherwise.
const readingTime = 10 * time.Second

// Main runs the applet; arguments[0] is its name. It returns 1 on failure, and never on success. As PID 1 it
// does not return from a failure either: the machine restarts.
func Main(arguments []string) int {
	name := "switch_root"
	if len(arguments) > 0 {
		name, arguments = path.Base(arguments[0]), arguments[1:]
	}
	o, done, err := parse(arguments)
	if done {
		return 0
	}
	if err == nil {
		err = run(o)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	if _, isUsage := errors.AsType[*usageError](err); isUsage {
		fmt.Fprintf(os.Stderr, "Try '%s --help' for more information.\n", name)
	}
	if os.Getpid() == 1 && !o.check {
		restart(name, err)
	}
	return 1
}

// run checks everything that can be checked, then switches. Until the switch itself the machine stays as it is.
func run(o options) error {
	if err := apply.MountProc(); err != nil {
		return err
	}
	newRoot, err := resolve(o.newRoot)
	if err != nil {
		return err
	}
	if err := apply.CheckSwitch(newRoot); err != nil {
		return err
	}
	if err := checkInit(newRoot, o.program[0]); err != nil {
		return err
	}
	if o.check {
		return nil
	}
	if os.Getpid() != 1 {
		return errors.New("only PID 1 can hand over to the next init: end its script with 'exec switch_root NEWROOT INIT'")
	}
	if err := apply.MakePrivate(); err != nil {
		return err
	}
	if err := apply.DetachReplaced(newRoot); err != nil {
		return err
	}
	switched, err := apply.SwitchRoot(newRoot, apply.FindCarried(newRoot))
	if err != nil {
		return err
	}
	for _, left := range switched.LeftOver {
		fmt.Fprintf(os.Stderr, "switch_root: of the initramfs is left: %s\n", left)
	}
	if o.console != "" {
		if err := apply.OpenTerminal(o.console); err != nil {
			fmt.Fprintf(os.Stderr, "switch_root: %v\n", err)
		}
	}
	if err := apply.CloseOnExec(); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	err = unix.Exec(o.program[0], o.program, os.Environ())
	return fmt.Errorf("execute %s: %w", o.program[0], err)
}

// resolve returns the path of the new root without links.
func resolve(newRoot string) (string, error) {
	absolute, err := filepath.Abs(newRoot)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

func checkInit(newRoot, program string) error {
	root, err := rootdir.Open(newRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	return apply.CheckInit(root, program)
}

// restart shows why PID 1 cannot go on and restarts the machine, since PID 1 must not end.
func restart(name string, reason error) {
	log := bootlog.Open()
	wait := apply.PanicDelay(readingTime)
	log.Fail(fmt.Sprintf("%s: %v", name, reason))
	log.Fail(fmt.Sprintf("restarting in %v", wait))
	time.Sleep(wait)
	for {
		if err := apply.Reboot(); err != nil {
			log.Fail(fmt.Sprintf("restart: %v", err))
		}
		time.Sleep(time.Minute)
	}
}
