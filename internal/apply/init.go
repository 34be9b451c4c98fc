package apply

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/preroot/preroot/internal/executable"
	"github.com/preroot/preroot/internal/rootdir"
)

// maxInterpreters bounds the way from a script to the program that interprets its interpreter; the kernel ends at five.
const maxInterpreters = 5

// CheckInit makes sure that the kernel could execute a program of the new root, since after the switch there is no way
// back: it is there, executable, for this machine, and so is what interprets it. Shared libraries are not looked at.
func CheckInit(root *rootdir.Root, program string) error {
	if err := checkProgram(root, program, maxInterpreters); err != nil {
		return fmt.Errorf("find init: %w", err)
	}
	return nil
}

func checkProgram(root *rootdir.Root, path string, interpreters int) error {
	entry, err := root.Resolve(path)
	if err != nil {
		return err
	}
	defer entry.Close()
	name := root.Host(entry.Path)
	if !entry.IsRegular() || entry.Stat.Mode&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", name)
	}
	file, err := root.Open(entry.Path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	program, err := executable.Read(file)
	switch {
	case errors.Is(err, executable.ErrNotExecutable):
		return fmt.Errorf("%s is %w", name, err)
	case err != nil:
		return fmt.Errorf("%s cannot be executed: %w", name, err)
	case !program.Machine.RunsOn(runtime.GOARCH):
		return fmt.Errorf("%s is a program for another machine (ELF machine %d)", name, program.Machine)
	case program.Interpreter == "":
		return nil
	case interpreters == 0:
		return fmt.Errorf("%s has too many interpreters", name)
	}
	if err := checkProgram(root, program.Interpreter, interpreters-1); err != nil {
		return fmt.Errorf("%s needs the interpreter %s: %w", name, program.Interpreter, err)
	}
	return nil
}
