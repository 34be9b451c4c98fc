package mountapi

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// privateVariable tells a process that it is the copy that RunPrivately has started, with the name of the mount namespace
// that it must not be in.
const privateVariable = "PREROOT_NOT_IN_NAMESPACE"

// IsPrivate reports whether this process was started by RunPrivately, and has a mount namespace of its own.
func IsPrivate() bool {
	other, ok := os.LookupEnv(privateVariable)
	if !ok {
		return false
	}
	own, err := os.Readlink("/proc/self/ns/mnt")
	return err == nil && own != other
}

// RunPrivately starts this program again with the same arguments in a mount namespace of its own, where it may mount what nobody else is to
// see, and returns its exit code. All threads are in the namespace then, other than with Namespace.
func RunPrivately() (code int, err error) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return 0, fmt.Errorf("start in a mount namespace: %w", err)
	}
	process, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Env:   append(os.Environ(), privateVariable+"="+own),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		// The mounts are made private by the package syscall.
		Sys: &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS},
	})
	if err != nil {
		return 0, fmt.Errorf("start in a mount namespace: %w", err)
	}
	state, err := process.Wait()
	if err == nil && !state.Exited() {
		err = errors.New(state.String())
	}
	if err != nil {
		return 0, fmt.Errorf("run in a mount namespace: %w", err)
	}
	return state.ExitCode(), nil
}
