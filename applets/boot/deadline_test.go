package boot

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/plan"
)

// A boot that hangs restarts, and says where.
func TestDeadlineEndsTheBoot(t *testing.T) {
	f := newFailure(t)
	f.setDeadline(time.Hour)
	f.setDeadline(50 * time.Millisecond)
	go func() { _ = f.step(stepMount, func() error { select {} }) }()
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
	if report := f.readReport(t); report.FailureCode != "PR-TIME" || report.Failure != "the boot took longer than 50ms" {
		t.Errorf("%s: %s", report.FailureCode, report.Failure)
	}
	if f.screen.Step != stepMount {
		t.Errorf("the step is %q", f.screen.Step)
	}
}

// What hangs may hold the log, or the record: the machine restarts all the same.
func TestFailureThatCannotBeShown(t *testing.T) {
	for name, hold := range map[string]func(*failure){
		"the log":    func(f *failure) { f.log.mu.Lock() },
		"the record": func(f *failure) { f.recording.Lock() },
		"a console": func(f *failure) {
			f.consoles.active = func() []string { return []string{"ttyS0"} }
			f.consoles.write = func(string, string) error { select {} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFailure(t)
			f.showTime = 30 * time.Millisecond
			hold(f) // for ever
			go f.fail(errors.New("x"))
			f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
		})
	}
}

// A shell is no way out where even the message could not be shown.
func TestNoShellAfterAFailureThatCannotBeShown(t *testing.T) {
	f := newFailure(t)
	f.showTime = 30 * time.Millisecond
	f.failure.Action = plan.ActionShell
	f.program.Shell = func(Offer) (Outcome, error) { select {} }
	f.recording.Lock()
	go f.fail(errors.New("x"))
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
}

func TestTimeLimits(t *testing.T) {
	f := newFailure(t)
	f.plan = &plan.Boot{Timeout: 300 * time.Second}
	for work, want := range map[time.Duration]struct{ limit, entries time.Duration }{
		120 * time.Second:  {420 * time.Second, 60 * time.Second},
		10 * time.Second:   {310 * time.Second, 5 * time.Second},
		3600 * time.Second: {3900 * time.Second, 60 * time.Second},
	} {
		f.failure.WorkTime = work
		if limit, entries := f.timeLimit(), f.entriesTime(); limit != want.limit || entries != want.entries {
			t.Errorf("%v: %v, %v", work, limit, entries)
		}
	}
}

func TestWithin(t *testing.T) {
	wanted := errors.New("its own")
	if err := within(20*time.Second, "it", func() error { return wanted }); !errors.Is(err, wanted) {
		t.Errorf("%v", err)
	}
	err := within(time.Millisecond, "the message", func() error { select {} })
	if !errors.Is(err, errLate) || !strings.HasPrefix(err.Error(), "the message: ") {
		t.Errorf("%v", err)
	}
}

// On one processor a second one is needed for as long as the next init is read.
func TestKeepClock(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	keepClock()
	if n := runtime.GOMAXPROCS(0); n != 2 {
		t.Errorf("%d", n)
	}
	runtime.GOMAXPROCS(3)
	keepClock()
	if n := runtime.GOMAXPROCS(0); n != 3 {
		t.Errorf("%d", n)
	}
}
