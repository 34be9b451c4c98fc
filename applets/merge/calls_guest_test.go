//go:build guest

package merge

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/osrelease"
)

// outcome is all that a script could see of a call.
type outcome struct {
	stdout, stderr string
	code           int
}

func (w *world) callOurs(arguments ...string) outcome {
	var stdout, stderr bytes.Buffer
	s := &session{stdout: &stdout, stderr: &stderr, getenv: os.Getenv}
	code := s.run(append([]string{w.program()}, arguments...))
	return outcome{stdout.String(), withoutNotes(stderr.String()), code}
}

// withoutNotes leaves out what is ours alone: systemd is silent about what it ignores, and about files that hide each other.
func withoutNotes(text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "Note: ") && !strings.HasPrefix(line, "Ignoring extension '") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

func (w *world) callTheirs(arguments ...string) outcome {
	w.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.Command(w.program(), arguments...)
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok && err != nil || ok && failed.ExitCode() < 0 {
		w.Fatalf("%s %q: %v", w.program(), arguments, err)
	}
	return outcome{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// sameLook makes a call that changes nothing with both programs.
func (w *world) sameLook(arguments string) {
	w.Helper()
	w.compare(arguments, w.callOurs(strings.Fields(arguments)...), w.callTheirs(strings.Fields(arguments)...))
}

// better lists the calls that end in other words on purpose: ours, theirs.
var better = map[string]struct{ ours, theirs, reason string }{
	"bogus":                       {"Unknown command verb 'bogus'.\n", "Unknown command verb 'bogus', did you mean 'status'?\n", "it has other commands"},
	"-- --help":                   {"Unknown command verb '--help'.\n", "Unknown command verb '--help', did you mean 'help'?\n", "the same"},
	"--image-policy=x merge":      {"Failed to parse image policy: x (parse image policy: \"x\" has no \"=\")\n", "Failed to parse image policy: x\n", "it says why"},
	"--root=/nonexistent":         {"Failed to open root directory '/nonexistent': No such file or directory\n", "", "a root that is not there has no status"},
	"refresh --root=/nonexistent": {"Failed to open root directory '/nonexistent': No such file or directory\n", "", "one message for one cause"},
	"merge --root=/srv": {"read os-release: no /etc/os-release or /usr/lib/os-release is there\nFailed to merge hierarchies\n",
		"Failed to acquire 'os-release' data of OS tree '/srv': No such file or directory\nFailed to merge hierarchies\n", "it names the files"},
	"refresh --noexec=no": {"", "", "systemd does not look at the flags of mounts"},
}

func (w *world) compare(arguments string, ours, theirs outcome) {
	w.Helper()
	if b, ok := better[arguments]; ok {
		if b.ours != "" && ours.stderr != b.ours || b.theirs != "" && theirs.stderr != b.theirs {
			w.Errorf("%s %s, %s:\nours   %q\ntheirs %q", w.program(), arguments, b.reason, ours.stderr, theirs.stderr)
		}
		return
	}
	if ours.stdout != theirs.stdout || ours.code != theirs.code {
		w.Errorf("%s %s:\nours   %d\n%s\ntheirs %d\n%s", w.program(), arguments, ours.code, ours.stdout, theirs.code, theirs.stdout)
	}
	if ours.stderr != theirs.stderr {
		w.Errorf("%s %s: stderr\nours   %q\ntheirs %q", w.program(), arguments, ours.stderr, theirs.stderr)
	}
}

// sameChange makes a call with both programs from the same state, which prepare makes.
func (w *world) sameChange(prepare func(), arguments string) {
	w.Helper()
	var outcomes [2]outcome
	for i, call := range []func(...string) outcome{w.callOurs, w.callTheirs} {
		for w.callTheirs("unmerge").stderr != "" {
		}
		prepare()
		outcomes[i] = call(strings.Fields(arguments)...)
	}
	w.compare(arguments, outcomes[0], outcomes[1])
}

// The same calls with the real program and with ours: standard output, standard error and exit code are the same.
func TestSameCalls(t *testing.T) {
	for _, class := range []osrelease.Class{osrelease.ClassConfext, osrelease.ClassSysext} {
		t.Run(string(class), func(t *testing.T) {
			w := newWorldOf(t, class, "/srv/usr", "/srv/opt")
			looks := []string{
				"", "status", "status --no-pager --no-legend", "status --json=short", "status --json=pretty", "status --json=off", "--json=short",
				"list", "list --no-legend", "list --json=short", "list --json=pretty", "list --no-pager", "list --json=off",
				"--mutable=help", "--json=help", "status --mutable=help", "bogus", "status x", "list x", "merge x", "--bogus", "-x", "--json=x", "--mutable=x",
				"--noexec=x merge", "--noexec", "--always-refresh=x", "--image-policy=x merge", "--image-policy", "--root", "--no", "--force=1", "-- --help",
				"--root=/nonexistent", "--root= status", "list --root=/srv", "status --root=/srv", "merge --root=/srv", "refresh --root=/nonexistent",
			}
			for _, call := range looks {
				w.sameLook(call)
			}
			nothing := func() {}
			for _, call := range []string{"merge", "refresh", "unmerge", "refresh --mutable=auto", "merge --mutable=import"} {
				w.sameChange(nothing, call)
			}
			w.add("one")
			w.add("two_1.2")
			w.add("odd name")
			for _, call := range looks {
				w.sameLook(call)
			}
			theirs := func() { w.theirs("merge", "--no-reload") }
			ours := func() { w.ours("merge", "--no-reload") }
			for _, call := range []string{"merge", "refresh", "unmerge", "refresh --mutable=yes", "merge --mutable=ephemeral", "refresh --noexec=no", "merge --force",
				"refresh --always-refresh=no", "merge --no-reload", "merge --image-policy=root=verity"} {
				w.sameChange(nothing, call)
				w.sameChange(theirs, call)
				w.sameChange(ours, call)
			}
			for _, merge := range []func(){theirs, ours} {
				for w.callTheirs("unmerge").stderr != "" {
				}
				merge()
				for _, call := range looks {
					w.sameLook(call)
				}
			}
			// Nothing fits any more.
			for _, name := range []string{"one", "two_1.2", "odd name"} {
				w.release(w.images+"/"+name, name, "ID=other\n")
			}
			for _, call := range []string{"merge", "refresh", "merge --force", "refresh --mutable=ephemeral"} {
				w.sameChange(nothing, call)
			}
		})
	}
}
