// Package merge is the applet that replaces systemd-confext(8) and systemd-sysext(8): status, merge, unmerge,
// refresh and list, with their options, output and exit codes (systemd 262), and plan and explain, which are
// ours.
//
// It parses what was typed and prints what came out. What an extension is, what becomes of it, and how it is
// mounted is the business of packages below internal/.
package merge

import (
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/sentinel"
)

// session is one call of the applet.
type session struct {
	options
	class          osrelease.Class
	program        string
	stdout, stderr io.Writer
	lookupEnv      func(string) (string, bool)
}

// getenv is a variable of the environment, "" if it is not set.
func (s *session) getenv(name string) string {
	value, _ := s.lookupEnv(name)
	return value
}

// Main runs the applet; arguments[0] is the name it was called by. It returns 0, also when there was nothing to do, or 1.
func Main(arguments []string) int {
	// A call is over before there is much to collect: up to 12 MiB of heap (4 MiB by default) without a collection, which would
	// cost more than all else does for a few extensions.
	debug.SetGCPercent(300)
	growStack(false)
	s := &session{stdout: os.Stdout, stderr: os.Stderr, lookupEnv: os.LookupEnv}
	if os.Getpid() == 1 {
		// The kernel hands words of its command line that it does not know to PID 1 as environment.
		s.lookupEnv = func(string) (string, bool) { return "", false }
	}
	return s.run(arguments)
}

// growStack makes room on the stack for what a merge needs, while few functions are on it: to grow step by step means to go through
// all callers several times.
//
//go:noinline
func growStack(used bool) byte {
	var room [9 << 10]byte
	if used {
		for i := range room {
			room[i] = byte(i)
		}
	}
	return room[len(room)/2]
}

func (s *session) run(arguments []string) int {
	s.program = path.Base(arguments[0])
	s.class = classOf(s.program)
	text, err := s.parse(arguments[1:])
	if err != nil {
		s.complain(err)
		return 1
	}
	if text != "" {
		fmt.Fprint(s.stdout, text)
		return 0
	}
	if s.image != "" && !mountapi.IsPrivate() {
		return s.runPrivately()
	}
	action := findAction(s.command)
	if err := s.mountImage(); err != nil {
		s.complain(err)
		return 1
	}
	if err := action(s); err != nil {
		s.complain(err)
		return 1
	}
	return 0
}

// imageRoot is where the image of --image= is mounted, in a namespace of this process.
const imageRoot = "/run/preroot/image"

// runPrivately makes the call again where mounts are seen by nobody else.
func (s *session) runPrivately() int {
	if err := checkPrivileges(); err != nil {
		s.complain(err)
		return 1
	}
	code, err := mountapi.RunPrivately()
	if err != nil {
		s.complain(err)
		return 1
	}
	return code
}

func (s *session) mountImage() error {
	if s.image == "" {
		return nil
	}
	if err := apply.MountSystemImage(s.image, imageRoot, osrelease.Architecture(runtime.GOARCH)); err != nil {
		return failf("Failed to open image '%s': %w", s.image, err)
	}
	s.root = imageRoot
	return nil
}

// shown is a path as people know it: that of an image is not where it is mounted.
func (s *session) shown(at string) string {
	if s.image != "" {
		return strings.TrimPrefix(at, imageRoot)
	}
	return at
}

// complain prints an error, each of several on a line of its own.
func (s *session) complain(err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range several.Unwrap() {
			s.complain(one)
		}
		return
	}
	fmt.Fprintf(s.stderr, "%s\n", err)
}

// say prints a message as systemd does, on standard error.
func (s *session) say(format string, arguments ...any) {
	fmt.Fprintf(s.stderr, format+"\n", arguments...)
}

// classOf is the class that a name of the program stands for; "merge" has --class=.
func classOf(program string) osrelease.Class {
	switch program {
	case "systemd-sysext", "sysext":
		return osrelease.ClassSysext
	}
	return osrelease.ClassConfext
}

// findAction returns the command that a word stands for, nil if it is none.
func findAction(command string) func(*session) error {
	switch command {
	case "status":
		return (*session).status
	case "list":
		return (*session).list
	case "merge":
		return func(s *session) error { return s.change((*change).merge) }
	case "refresh":
		return func(s *session) error { return s.change((*change).refresh) }
	case "unmerge":
		return func(s *session) error { return s.change((*change).unmerge) }
	case "plan":
		return (*session).plan
	case "explain":
		return (*session).explain
	case "drift":
		return (*session).drift
	}
	return nil
}

// Messages of systemd's.
const (
	errPrivileges = sentinel.Error("Need to be privileged.")
	// errMergeFailed is its last word on a failure of any kind; what failed stands before it.
	errMergeFailed = sentinel.Error("Failed to merge hierarchies")
)

// checkPrivileges asks for what mounting takes.
func checkPrivileges() error {
	may, err := observe.MayMount()
	if err == nil && !may {
		err = errPrivileges
	}
	return err
}

// failf makes an error that is a message of systemd's, which are whole sentences.
func failf(format string, arguments ...any) error { return fmt.Errorf(format, arguments...) }
