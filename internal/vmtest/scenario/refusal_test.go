package scenario

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

const refusedConsole = `[    3.100000] Run /init as init process
[    3.500000] preroot: looking for /usr
[    4.100000] preroot: boot failed: open /usr: the top hash block
[    4.100100] preroot:   does not match the root hash of usrhash=
[    4.200000] reboot: Restarting system
`

func refusedRun(console string, wall time.Duration) *vmtest.Run {
	run := &vmtest.Run{Console: console, End: vmtest.EndedByGuest, Wall: wall}
	for line := range strings.SplitSeq(strings.TrimSuffix(console, "\n"), "\n") {
		run.Lines = append(run.Lines, vmtest.Line{Text: line, At: 5 * time.Second})
	}
	return run
}

func TestRefusalIsJudged(t *testing.T) {
	const (
		one, cause, panicked, started, end = 0, 1, 2, 3, 4
		none                               = -1
	)
	for name, c := range map[string]struct {
		old, new string
		wall     time.Duration
		fails    int
		detail   string
	}{
		"good":                     {"", "", 8 * time.Second, none, ""},
		"no message":               {"boot failed:", "oops:", 8 * time.Second, one, "0 messages"},
		"two messages":             {"looking for /usr", "boot failed: twice", 8 * time.Second, one, "2 messages"},
		"another cause":            {"top hash block", "partition", 8 * time.Second, cause, "does not match"},
		"cause is in another line": {"the top hash block\n", "\n[    4.1] audit: the top hash block\n", 8 * time.Second, cause, "does not match"},
		"panic":                    {"reboot: Restarting", "Kernel panic - not syncing\n reboot: Restarting", 8 * time.Second, panicked, "Kernel panic"},
		"systemd ran":              {"reboot: Restarting", "systemd[1]: x\n reboot: Restarting", 8 * time.Second, started, "systemd[1]"},
		"late":                     {"", "", 60 * time.Second, end, "55.0 s after"},
		"no reboot":                {"reboot: Restarting system", "Resetting", 8 * time.Second, end, "without"},
		"init not started":         {"Run /init", "Run /bin/init", 8 * time.Second, end, "has no"},
	} {
		t.Run(name, func(t *testing.T) {
			run := refusedRun(strings.Replace(refusedConsole, c.old, c.new, 1), c.wall)
			findings := CheckRefusal(run, regexp.MustCompile(`top hash block does not match the root hash`), 30*time.Second)
			if c.fails == none {
				if failed := Failed(findings); len(failed) > 0 {
					t.Error(failed)
				}
				return
			}
			if f := findings[c.fails]; f.OK || !strings.Contains(f.Detail, c.detail) {
				t.Errorf("%+v, want %q", f, c.detail)
			}
		})
	}
}

func TestHangingRefusalIsNoEnd(t *testing.T) {
	run := refusedRun(refusedConsole, 8*time.Second)
	run.End = vmtest.EndedByTimeout
	findings := CheckRefusal(run, regexp.MustCompile(`top`), 30*time.Second)
	if f := findings[len(findings)-1]; f.OK || !strings.Contains(f.Detail, "killed") {
		t.Errorf("%+v", f)
	}
}

func FuzzFailureMessage(f *testing.F) {
	f.Add(refusedConsole)
	f.Add("preroot: boot failed:\npreroot: \nboot failed: preroot: ")
	f.Fuzz(func(t *testing.T, console string) {
		message, err := failureMessage(console)
		if err == nil && !strings.Contains(message, "failed:") {
			t.Errorf("message %q", message)
		}
		lastMessages(console, 3)
	})
}
