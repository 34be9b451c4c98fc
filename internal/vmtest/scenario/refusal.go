package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// Marks of a console. The kernel prints initReached before it starts /init.
const (
	initReached   = "Run /init as init process"
	messagePrefix = "preroot: "
	failureMark   = "boot failed:"
)

// CheckRefusal judges a boot that had to fail: one message that names the
// cause, no panic, an end by reboot within limit after /init was started, and
// no init of the real root. The cause is searched for in the message, whose
// lines are joined with blanks.
func CheckRefusal(run *vmtest.Run, cause *regexp.Regexp, limit time.Duration) []Finding {
	var findings []Finding
	add := func(point, proof string, err error) {
		f := Finding{Point: point, OK: err == nil, Detail: proof}
		if err != nil {
			f.Detail = err.Error()
		}
		findings = append(findings, f)
	}
	message, err := failureMessage(run.Console)
	add("there is exactly one failure message", message, err)
	if err == nil && !cause.MatchString(message) {
		err = fmt.Errorf("%q does not match %q", message, cause)
	}
	add("it names the cause", message, err)
	add("no kernel panic", "none", firstLineWith(run, "Kernel panic", "kernel BUG at", "Oops:"))
	add("the real root's init never ran", "none of its messages",
		firstLineWith(run, "systemd[1]:", "Welcome to ", "testbed: mark"))
	proof, err := endOf(run, limit)
	add("the machine reboots in time", proof, err)
	return findings
}

// failureMessage returns the one message of a failed boot: the line with the
// mark and preroot's lines that follow it at once.
func failureMessage(console string) (string, error) {
	var message []string
	count, inside := 0, false
	for line := range strings.SplitSeq(console, "\n") {
		_, text, ours := strings.Cut(line, messagePrefix)
		if ours && strings.Contains(text, failureMark) {
			count++
			inside = count == 1
		}
		inside = inside && ours
		if inside {
			message = append(message, strings.Fields(text)...)
		}
	}
	joined := strings.Join(message, " ")
	if count != 1 {
		return joined, fmt.Errorf("%d messages with %q, want one; the last lines of preroot: %s",
			count, failureMark, strings.Join(lastMessages(console, 5), " | "))
	}
	return joined, nil
}

// lastMessages returns the last lines of preroot on a console.
func lastMessages(console string, count int) []string {
	var lines []string
	for line := range strings.SplitSeq(console, "\n") {
		if _, text, ours := strings.Cut(line, messagePrefix); ours {
			lines = append(lines, text)
		}
	}
	return lines[max(0, len(lines)-count):]
}

func firstLineWith(run *vmtest.Run, texts ...string) error {
	for _, text := range texts {
		if line, found := run.Find(text); found {
			return errors.New(line.Text)
		}
	}
	return nil
}

// endOf wants a reboot asked for by init, and measures from the start of /init
// to the machine's end.
func endOf(run *vmtest.Run, limit time.Duration) (string, error) {
	if run.End != vmtest.EndedByGuest {
		return "", fmt.Errorf("%s after %.1f s", run.End, run.Wall.Seconds())
	}
	if _, found := run.Find("reboot: Restarting system"); !found {
		return "", errors.New("the machine ended without \"reboot: Restarting system\" on the console")
	}
	start, found := run.Find(initReached)
	if !found {
		return "", fmt.Errorf("the console has no %q", initReached)
	}
	took := run.Wall - start.At
	if took > limit {
		return "", fmt.Errorf("%.1f s after the start of /init, at most %.0f s are good", took.Seconds(), limit.Seconds())
	}
	return fmt.Sprintf("%.1f s after the start of /init", took.Seconds()), nil
}
