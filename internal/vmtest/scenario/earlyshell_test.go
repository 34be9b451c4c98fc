//go:build vm

package scenario

import (
	"regexp"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestEarlyShell (H7) stops at the four places of Flatcar's rd.earlyshell. Each shell sees what is there by then.
func TestEarlyShell(t *testing.T) {
	t.Parallel()
	m, err := PrepareWith(vmtest.Forky, t.TempDir(), "[Failure]\nAction=shell\n")
	if err != nil {
		t.Fatal(err)
	}
	var dialog []vmtest.Exchange
	for range 4 {
		dialog = append(dialog,
			vmtest.Exchange{Wait: rescuePrompt, Send: "test -b /dev/mapper/usr; echo open $?; test -d /sysroot/etc; echo mounted $?\r"},
			vmtest.Exchange{Wait: rescuePrompt, Send: "exit\r"})
	}
	run, err := m.Boot(t.Context(), Start{Append: "rd.earlyshell panic=0 " + stopAtInit, Dialog: dialog, Timeout: 300 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	const yes, no = "0", "1"
	pattern := "(?s)"
	for _, stop := range []struct{ point, open, mounted string }{
		{"pre-devices", no, no}, {"pre-verity", no, no}, {"pre-mount", yes, no}, {"pre-switch-root", yes, yes},
	} {
		pattern += "stopped at the breakpoint " + stop.point + ",.*\nopen " + stop.open + "\n.*mounted " + stop.mounted + "\n.*"
	}
	if !regexp.MustCompile(pattern + "testbed: mark init .* confext=present sysext=present ").MatchString(run.Console) {
		t.Errorf("the console does not match %q:\n%s", pattern, run.Tail(150))
	}
}
