//go:build guest

package merge

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// outcome is all that a script could see of a call.
type outcome struct {
	stdout, stderr string
	code           int
}

func (w *world) callOurs(arguments ...string) outcome {
	var stdout, stderr bytes.Buffer
	s := &session{stdout: &stdout, stderr: &stderr, lookupEnv: os.LookupEnv}
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
		w.unmergeAll()
		prepare()
		outcomes[i] = call(strings.Fields(arguments)...)
	}
	w.compare(arguments, outcomes[0], outcomes[1])
}

// mistakes are refused before anything is looked at, but for the root.
var mistakes = []string{
	"--mutable=help", "--json=help", "status --mutable=help", "bogus", "status x", "list x", "merge x", "--bogus", "-x", "--json=x", "--mutable=x",
	"--noexec=x merge", "--noexec", "--always-refresh=x", "--image-policy=x merge", "--image-policy", "--root", "--no", "--force=1", "-- --help",
	"--root=/nonexistent", "merge --root=/srv", "refresh --root=/nonexistent",
}

var looks = []string{
	"", "status --no-pager --no-legend", "status --json=short", "status --json=pretty", "status --json=off",
	"list", "list --no-legend", "list --json=short", "list --json=pretty", "--root= status", "list --root=/srv", "status --root=/srv",
}

// The same calls with the real program and with ours: standard output, standard error and exit code are the same.
func TestSameCalls(t *testing.T) {
	for _, class := range []osrelease.Class{osrelease.ClassConfext, osrelease.ClassSysext} {
		t.Run(string(class), func(t *testing.T) {
			w := newWorldOf(t, class, "/srv/usr", "/srv/opt")
			if class == osrelease.ClassConfext {
				for _, call := range mistakes {
					w.sameLook(call)
				}
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
			theirs := func() { w.theirs("merge", "--no-reload") }
			ours := func() { w.ours("merge", "--no-reload") }
			for _, call := range []string{"merge", "refresh", "unmerge", "refresh --noexec=no"} {
				w.sameChange(theirs, call)
				w.sameChange(ours, call)
			}
			for _, call := range []string{"merge --mutable=ephemeral", "merge --force", "refresh --always-refresh=no", "merge --image-policy=root=verity"} {
				w.sameChange(nothing, call)
			}
			for _, merge := range []func(){theirs, ours} {
				w.unmergeAll()
				merge()
				for _, call := range looks[:8] {
					w.sameLook(call)
				}
			}
			// Nothing fits any more.
			for _, name := range []string{"one", "two_1.2", "odd name"} {
				w.release(w.images+"/"+name, name, "ID=other\n")
			}
			for _, call := range []string{"merge", "refresh", "merge --force"} {
				w.sameChange(nothing, call)
			}
		})
	}
}

// The same configuration files and environment with both programs: the same words, metadata and mounts.
func TestSameSettings(t *testing.T) {
	w := newWorld(t)
	w.add("one")
	for _, directory := range []string{"/etc/systemd", "/usr/lib/systemd"} {
		w.check(os.MkdirAll(directory, 0o755))
	}
	for name, c := range map[string]struct {
		files       map[string]string
		environment []string
	}{
		"file in etc":           {map[string]string{"/etc/systemd/confext.conf": "[ConfExt]\nMutable=ephemeral\n"}, nil},
		"etc hides usr":         {map[string]string{"/etc/systemd/confext.conf": "[ConfExt]\n", "/usr/lib/systemd/confext.conf": "[ConfExt]\nMutable=yes\n"}, nil},
		"drop-in in run":        {map[string]string{"/run/systemd/confext.conf.d/9.conf": "[ConfExt]\nMutable=yes\n", "/etc/systemd/confext.conf.d/1.conf": "[ConfExt]\nMutable=no\n"}, nil},
		"bad mode":              {map[string]string{"/etc/systemd/confext.conf": "[ConfExt]\nMutable=sometimes\n"}, nil},
		"environment":           {map[string]string{"/etc/systemd/confext.conf": "[ConfExt]\nMutable=no\n"}, []string{"SYSTEMD_CONFEXT_MUTABLE_MODE=yes"}},
		"bad environment":       {nil, []string{"SYSTEMD_CONFEXT_MUTABLE_MODE=sometimes"}},
		"options":               {nil, []string{"SYSTEMD_CONFEXT_OVERLAYFS_MOUNT_OPTIONS=redirect_dir=off"}},
		"options and writes":    {nil, []string{"SYSTEMD_CONFEXT_OVERLAYFS_MOUNT_OPTIONS=redirect_dir=off,index=off", "SYSTEMD_CONFEXT_MUTABLE_MODE=yes"}},
		"os-release":            {nil, []string{"SYSTEMD_OS_RELEASE=/run/another"}},
		"no os-release":         {nil, []string{"SYSTEMD_OS_RELEASE=/run/missing"}},
		"empty hierarchies":     {nil, []string{"SYSTEMD_CONFEXT_HIERARCHIES="}},
		"relative hierarchy":    {nil, []string{"SYSTEMD_CONFEXT_HIERARCHIES=srv/etc"}},
		"unclean hierarchy":     {nil, []string{"SYSTEMD_CONFEXT_HIERARCHIES=/srv//etc"}},
		"root as hierarchy":     {nil, []string{"SYSTEMD_CONFEXT_HIERARCHIES=/"}},
		"policy that forbids":   {map[string]string{"/etc/systemd/confext.conf": "[ConfExt]\nImagePolicy=root=signed\n"}, nil},
		"policy not understood": {map[string]string{"/etc/systemd/confext.conf": "[ConfExt]\nImagePolicy=bogus=signed\n"}, nil},
		"switched off":          {nil, []string{"SYSTEMD_EXEC_PID=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			inner := *w
			inner.T = t
			for _, setting := range c.environment {
				name, value, _ := strings.Cut(setting, "=")
				t.Setenv(name, value)
			}
			for file, text := range c.files {
				inner.write(file, text)
				defer os.Remove(file)
			}
			inner.write("/run/another", "ID=another\nVERSION_ID=1\n")
			var outcomes [2]outcome
			var mounts, origins [2]string
			for i, call := range []func(...string) outcome{inner.callOurs, inner.callTheirs} {
				inner.unmergeAll()
				outcomes[i] = call("merge")
				mounts[i] = flagsAt(t, w.hierarchy)
				text, _ := os.ReadFile(w.hierarchy + "/.systemd-confext/origin")
				origins[i] = string(text)
			}
			inner.unmergeAll()
			if b, ok := betterSettings[name]; ok {
				if outcomes[0].stderr != b || outcomes[1].stderr == b {
					t.Errorf("ours %+v, theirs %+v", outcomes[0], outcomes[1])
				}
				outcomes[1].stderr = b
			}
			inner.compare(name, outcomes[0], outcomes[1])
			if mounts[0] != mounts[1] {
				t.Errorf("mounted %q, theirs %q", mounts[0], mounts[1])
			}
			same := origins[0] == origins[1]
			if origins[0] != "" && origins[1] != "" {
				var err error
				if same, err = plan.SameOrigin([]byte(origins[0]), []byte(origins[1])); err != nil {
					t.Error(err)
				}
			}
			if !same {
				t.Errorf("origin\n%s\ntheirs\n%s", origins[0], origins[1])
			}
		})
	}
}

// betterSettings are the cases of TestSameSettings in which ours says more, with what it says.
var betterSettings = map[string]string{
	"bad mode":              "/etc/systemd/confext.conf: Mutable=sometimes is no mode\nUsing extensions 'one'.\nMerged extensions into '/srv/etc'.\n",
	"policy not understood": "ImagePolicy=: designator \"bogus\" is not known, ignoring\nUsing extensions 'one'.\nMerged extensions into '/srv/etc'.\n",
	"no os-release":         "read os-release: no /run/missing is there\nFailed to merge hierarchies\n",
	"empty hierarchies":     "Failed to parse environment variable SYSTEMD_CONFEXT_HIERARCHIES: '' is not an absolute path in its plain form\n",
	"relative hierarchy":    "Failed to parse environment variable SYSTEMD_CONFEXT_HIERARCHIES: 'srv/etc' is not an absolute path in its plain form\n",
	"unclean hierarchy":     "Failed to parse environment variable SYSTEMD_CONFEXT_HIERARCHIES: '/srv//etc' is not an absolute path in its plain form\n",
	"root as hierarchy":     "Failed to parse environment variable SYSTEMD_CONFEXT_HIERARCHIES: '/' is not an absolute path in its plain form\n",
}

func (w *world) unmergeAll() {
	w.Helper()
	for _, hierarchy := range w.hierarchies() {
		for mountapi.IsMountPoint(hierarchy) {
			w.check(mountapi.Detach(hierarchy))
		}
	}
}

// flagsAt are the flags of the mount at a path, "" without one.
func flagsAt(t *testing.T, target string) string {
	t.Helper()
	text := ""
	for _, line := range mountsAt(t, target) {
		// Not what a test has mounted there itself.
		if strings.Contains(line, " - overlay ") {
			text += strings.Fields(line)[5] + "\n"
		}
	}
	return text
}
