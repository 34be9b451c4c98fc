// Package bootrefresh is what the first start of systemd-confext.service or systemd-sysext.service runs in the place of
// systemd's program, where the boot has asked for it (package internal/bootrefresh): it looks whether what the boot merged
// is still what there is. If so it says so and is done. In every other case it becomes systemd's program.
package bootrefresh

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/bootrefresh"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// IsCalled reports whether this process runs the copy that the boot left. It cannot be told by the arguments: they are those
// of systemd's program.
func IsCalled() bool { return calledFor() != "" }

func calledFor() osrelease.Class {
	executable, err := os.Executable()
	if err != nil {
		return ""
	}
	return bootrefresh.ClassOf(executable)
}

// Main returns 0 if there was nothing to do, 1 if systemd's program cannot be run, and else not at all.
func Main(arguments []string) int {
	class := calledFor()
	stamp, err := bootrefresh.Take(class)
	c := check{class: class, arguments: arguments, getenv: os.Getenv, root: "/"}
	if run(&c, stamp, err, os.Stderr) {
		return 0
	}
	original, err := bootrefresh.FindOriginal(class, stamp, os.Getenv("PATH"))
	if err == nil {
		err = unix.Exec(original, arguments, os.Environ())
		err = fmt.Errorf("execute %s: %w", original, err)
	}
	fmt.Fprintf(os.Stderr, "preroot: %v\n", err)
	return 1
}

// run reports whether there is nothing to do, and says so, or why there is.
func run(c *check, stamp *bootrefresh.Stamp, err error, log io.Writer) bool {
	change := ""
	if err == nil {
		change, err = c.findChange(stamp)
	}
	switch {
	case err != nil:
		fmt.Fprintf(log, "Merging again: %v\n", err)
	case change != "":
		fmt.Fprintf(log, "Merging again: %s after preroot merged %s\n", change, stamp.Merged())
	default:
		fmt.Fprintf(log, "Nothing to do: nothing changed since preroot merged %s\n", stamp.Merged())
		return true
	}
	return false
}

// check looks at the system as the service finds it.
type check struct {
	class     osrelease.Class
	arguments []string
	getenv    func(string) string
	root      string
}

// findChange says in words what differs from what the stamp stands for, "" if nothing does.
func (c *check) findChange(stamp *bootrefresh.Stamp) (string, error) {
	if !slices.Equal(c.arguments[min(1, len(c.arguments)):], []string{"refresh"}) {
		return "something else than a refresh was asked for", nil
	}
	bootID, err := bootrefresh.ReadBootID()
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	if bootID != stamp.BootID {
		return "the kernel was started again", nil
	}
	root, err := rootdir.Open(c.root)
	if err != nil {
		return "", err
	}
	defer root.Close()
	settings, err := extension.ReadSettings(root, c.class, extension.AllSettings)
	if err != nil {
		return "", err
	}
	variable := "SYSTEMD_" + strings.ToUpper(string(c.class)) + "_"
	if c.getenv(variable+"HIERARCHIES") != "" || c.getenv(variable+"OVERLAYFS_MOUNT_OPTIONS") != "" {
		return "the service has hierarchies or mount options of its own", nil
	}
	if text := c.getenv(variable + "MUTABLE_MODE"); text != "" {
		mode, known := extension.ParseMode(text)
		if !known {
			return "", errors.New("read " + variable + "MUTABLE_MODE: it is no mode")
		}
		settings.Mutable = mode
	}
	now, err := bootrefresh.ReadState(root, c.class, settings, c.getenv("SYSTEMD_OS_RELEASE"))
	if err != nil {
		return "", err
	}
	return stamp.State.FindChange(now), nil
}
