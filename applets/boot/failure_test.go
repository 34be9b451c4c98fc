package boot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/lastfailure"
	"github.com/preroot/preroot/internal/passphrase"
	"github.com/preroot/preroot/internal/plan"
)

// safeBuffer is a log that several goroutines write to.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// failure is a boot that can fail without anything happening to the machine.
type failure struct {
	*boot
	log *safeBuffer
	// events are what fail did: "sleep 10s", "reboot".
	events chan string
	// active are the names of the consoles, changed tells of new ones, and screens has their text.
	active  safeBuffer
	changed chan struct{}
	screens sync.Map
	offers  []Offer
}

// newFailure makes one whose restart answers with an error, and whose goroutine ends at the long sleep
// after that.
func newFailure(t *testing.T) *failure {
	t.Helper()
	f := &failure{log: &safeBuffer{}, events: make(chan string, 16), changed: make(chan struct{})}
	f.boot = &boot{
		log: bootlog.New(f.log), report: bootreport.New("7.2", "", "full"), reasons: map[string]string{}, program: Program{Profile: "full"},
		restorePanic: func() {}, lowerPriority: func() error { return nil }, showTime: 20 * time.Second, reportFile: filepath.Join(t.TempDir(), "run/report.json"),
		failure: plan.Failure{Action: plan.ActionReboot, Why: "the image says so", ReadingTime: 10 * time.Second, Ending: plan.EndReboot},
		last:    &lastfailure.Store{Message: "/nowhere", Kept: "/nowhere", Variables: t.TempDir()},
		end: func(how plan.Ending) error {
			f.events <- string(how)
			return errors.New("not today")
		},
		sleep: func(d time.Duration) {
			f.events <- "sleep " + d.String()
			if d == time.Minute {
				runtime.Goexit()
			}
		},
	}
	f.consoles = consoles{
		sys:    "/nowhere",
		active: func() []string { return strings.Fields(f.active.String()) },
		write: func(name, text string) error {
			_, err := f.shown(name).Write([]byte(text))
			return err
		},
		watch:  func() <-chan struct{} { return f.changed },
		settle: func() {}, level: func() int { return 5 }, restoreLevel: func(level int) { f.events <- fmt.Sprint("level ", level) },
	}
	return f
}

// shown is what a console has been given.
func (f *failure) shown(name string) *safeBuffer {
	found, _ := f.screens.LoadOrStore(name, &safeBuffer{})
	return found.(*safeBuffer)
}

func (f *failure) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, event := range want {
		select {
		case got := <-f.events:
			if got != event {
				t.Errorf("%s, want %s", got, event)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no %s", event)
		}
	}
}

func (f *failure) readReport(t *testing.T) *bootreport.Report {
	t.Helper()
	text, err := os.ReadFile(f.reportFile)
	if err != nil {
		t.Fatal(err)
	}
	report, err := bootreport.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestFailTellsAndRestarts(t *testing.T) {
	f := newFailure(t)
	f.failure.ReadingTime = 3 * time.Second
	go f.fail(errors.New("the disk is gone\nplug it in"))
	f.expect(t, "sleep 3s", "reboot", "sleep 1m0s")
	text := f.log.String()
	for _, want := range []string{"boot failed: the disk is gone\n", "plug it in\n", "restarting in 3s\n", "restart: not today\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if report := f.readReport(t); report.Failure != "the disk is gone\nplug it in" || report.EndedMS < report.StartedMS {
		t.Errorf("%+v", report)
	}
}

// panic=-1 means at once: there is no time to read then.
func TestFailAtOnce(t *testing.T) {
	f := newFailure(t)
	f.failure.ReadingTime = 0
	go f.fail(errors.New("x"))
	f.expect(t, "sleep 0s", "reboot", "sleep 1m0s")
}

func TestFailTellsOnce(t *testing.T) {
	f := newFailure(t)
	for _, reason := range []string{"one", "two", "three"} {
		go f.fail(errors.New(reason))
	}
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
	// The others must not come this far; nothing tells that they never will.
	time.Sleep(50 * time.Millisecond)
	if text := f.log.String(); strings.Count(text, "boot failed: ") != 1 || len(f.events) != 0 {
		t.Error(text)
	}
}

func TestFailWithoutAReason(t *testing.T) {
	f := newFailure(t)
	go f.fail(nil)
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
	if text := f.log.String(); !strings.Contains(text, "boot failed: the boot ended without a reason\n") {
		t.Error(text)
	}
}

type badError struct{}

func (badError) Error() string { panic("even this") }

// Whatever goes wrong while failing, the machine restarts.
func TestFailThatFails(t *testing.T) {
	f := newFailure(t)
	f.reportFile = "/proc/no/such/place"
	go f.fail(badError{})
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
	if text := f.log.String(); !strings.Contains(text, "preroot has a bug: even this") {
		t.Error(text)
	}
}

// A panic in PID 1 is a failure like others.
func TestPanicIsCaught(t *testing.T) {
	f := newFailure(t)
	run := func() (err error) {
		defer f.catch(&err)
		return f.log.text.UnreadByte().(badError)
	}
	if err := run(); err == nil || !strings.Contains(err.Error(), "preroot has a bug: interface conversion: ") {
		t.Errorf("%v", err)
	}
	if text := f.log.String(); !strings.Contains(text, "TestPanicIsCaught") {
		t.Errorf("no stack in\n%s", text)
	}
}

func TestPanicOfAGoroutineEndsTheBoot(t *testing.T) {
	f := newFailure(t)
	go f.guarded(func() { panic("in the background") })()
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
	if text := f.log.String(); !strings.Contains(text, "boot failed: preroot has a bug: in the background") {
		t.Error(text)
	}
	done := make(chan struct{})
	go func() {
		newFailure(t).guarded(func() {})()
		close(done)
	}()
	<-done
}

// Once a failure is told, the other goroutines do not go on to boot after all.
func TestNothingGoesOnAfterAFailure(t *testing.T) {
	f := newFailure(t)
	ran := make(chan string, 2)
	if err := f.step("before", func() error { ran <- "before"; return nil }); err != nil {
		t.Fatal(err)
	}
	go f.fail(errors.New("x"))
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
	go func() { _ = f.step("after", func() error { ran <- "after"; return nil }) }()
	time.Sleep(50 * time.Millisecond)
	if len(ran) != 1 {
		t.Error("a step ran after the failure")
	}
}

func TestStepsAreRecorded(t *testing.T) {
	f := newFailure(t)
	want := errors.New("not found")
	if err := f.step("first", func() error { return nil }); err != nil {
		t.Error(err)
	}
	if err := f.step("second", func() error { return want }); err != want {
		t.Error(err)
	}
	f.warn("%s is odd", "it")
	steps := f.report.Steps
	if len(steps) != 2 || steps[0].Name != "first" || steps[0].Error != "" || steps[1].Error != "not found" {
		t.Errorf("%+v", steps)
	}
	if len(f.report.Warnings) != 1 || f.report.Warnings[0] != "it is odd" || !strings.Contains(f.log.String(), "it is odd") {
		t.Errorf("%q", f.report.Warnings)
	}
}

func TestMainIsForPID1(t *testing.T) {
	if code := Main(Program{}, []string{"init"}); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// waitFor waits until a console shows a text.
func (f *failure) waitFor(t *testing.T, name, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(f.shown(name).String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s shows no %q but\n%s", name, text, f.shown(name).String())
		}
	}
}

func (f *failure) setActive(names string) {
	f.active.mu.Lock()
	defer f.active.mu.Unlock()
	f.active.text.Reset()
	f.active.text.WriteString(names)
}

// The screen is on every console, and on those that are opened while it stands.
func TestTheScreenIsOnEveryConsole(t *testing.T) {
	f := newFailure(t)
	f.setActive("tty0 ttyS0")
	f.current = stepDevices
	f.failure.Ending = plan.EndPowerOff
	go f.fail(&missingError{"PARTUUID=x (root)", time.Minute, "there are: /dev/vda1", true})
	f.expect(t, "sleep 10s", "poweroff", "sleep 1m0s")
	f.setActive("tty0 ttyS0 hvc0")
	f.changed <- struct{}{}
	for _, name := range []string{"tty0", "ttyS0", "hvc0"} {
		f.waitFor(t, name, "Powering off in 10s.\n")
		for _, want := range []string{"PR-DEV-MISSING\n", " no partition PARTUUID=x (root) appeared within 1m0s\n", "there are: /dev/vda1\n",
			"Step:       find devices\n", "Waited for: PARTUUID=x (root), 1m0s\n", "No shell: the image says so.\n", "Linux 7.2, preroot full"} {
			if text := f.shown(name).String(); strings.Count(text, want) != 1 {
				t.Errorf("%s: %q is not there once in\n%s", name, want, text)
			}
		}
	}
	if report := f.readReport(t); report.FailureCode != "PR-DEV-MISSING" {
		t.Errorf("%+v", report)
	}
}

// A console that is gone does not keep the others from being told.
func TestAConsoleThatFails(t *testing.T) {
	f := newFailure(t)
	f.setActive("gone ttyS0")
	write := f.consoles.write
	f.consoles.write = func(name, text string) error {
		if name == "gone" {
			return errors.New("no such device")
		}
		return write(name, text)
	}
	go f.fail(errors.New("x"))
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
	f.waitFor(t, "ttyS0", "PR-UNKNOWN")
}

func TestTheCauseIsKeptAndToldAtTheNextBoot(t *testing.T) {
	f := newFailure(t)
	f.current = stepUsr
	go f.fail(&hashtree.MismatchError{TopLevel: true, Got: []byte{1, 2, 3, 4, 5}, Want: []byte{6, 7, 8, 9, 10}})
	f.expect(t, "sleep 10s", "reboot", "sleep 1m0s")
	next := newFailure(t)
	next.last = f.last
	next.readLast()
	want := "PR-USR-HASH open /usr\nthe top hash block does not match the root hash (01020304.., not 06070809..)"
	if next.report.PreviousFailure != want || !strings.Contains(next.log.String(), "previous failure: PR-USR-HASH open /usr; the top") {
		t.Errorf("%q, log\n%s", next.report.PreviousFailure, next.log.String())
	}
	// A boot that goes well forgets it.
	next.lastRead = make(chan struct{})
	close(next.lastRead)
	next.forgetLast()
	third := newFailure(t)
	third.last = f.last
	third.readLast()
	if third.report.PreviousFailure != "" {
		t.Errorf("%q", third.report.PreviousFailure)
	}
}

// withShell allows a shell that answers so.
func (f *failure) withShell(action plan.Action, entered bool, err error) {
	f.withAnswers(action, err, Outcome{Entered: entered})
}

// withAnswers does so with one outcome after another, the last one again and again.
func (f *failure) withAnswers(action plan.Action, err error, outcomes ...Outcome) {
	f.failure.Action, f.failure.Why, f.failure.AnswerTime = action, "", 42*time.Second
	if action == plan.ActionPassphrase {
		f.failure.Passphrase = &passphrase.Hash{MemoryKiB: 8, Passes: 1, Lanes: 1, Salt: []byte("saltsalt"), Key: []byte("keykeykeykeykeyk")}
	}
	f.program.Shell = func(o Offer) (Outcome, error) {
		outcome := outcomes[min(len(f.offers), len(outcomes)-1)]
		f.offers = append(f.offers, o)
		f.events <- "shell"
		return outcome, err
	}
}

func TestAShellAfterAFailure(t *testing.T) {
	f := newFailure(t)
	f.withShell(plan.ActionShell, true, nil)
	f.setActive("ttyS0")
	go f.fail(errors.New("x"))
	// Whoever left it needs no time to read.
	f.expect(t, "shell", "reboot", "sleep 1m0s")
	if o := f.offers[0]; o.PassphraseHash != "" || o.AnswerTime != 42*time.Second {
		t.Errorf("%+v", o)
	}
	if text := f.shown("ttyS0").String(); !strings.Contains(text, `A shell follows; "exit" leaves it and ends in restarting. Without an answer so`) {
		t.Errorf("%s", text)
	}
	if report := f.readReport(t); !report.Shell || report.Failure != "x" {
		t.Errorf("%+v", report)
	}
}

func TestAShellThatNobodyMayEnter(t *testing.T) {
	f := newFailure(t)
	f.withShell(plan.ActionPassphrase, false, errors.New("three wrong passphrases"))
	go f.fail(errors.New("x"))
	f.expect(t, "shell", "sleep 10s", "reboot", "sleep 1m0s")
	if o := f.offers[0]; o.PassphraseHash != f.failure.Passphrase.String() {
		t.Errorf("%+v", o)
	}
	if report := f.readReport(t); report.Shell || !strings.Contains(f.log.String(), "three wrong passphrases") {
		t.Errorf("%+v", report)
	}
}

func TestBreakpoints(t *testing.T) {
	f := newFailure(t)
	f.withShell(plan.ActionShell, true, nil)
	f.breakpoints = []plan.Breakpoint{plan.BreakVerity, plan.BreakSwitchRoot}
	f.plan = &plan.Boot{Timeout: time.Hour}
	f.deadline = time.AfterFunc(time.Hour, func() {})
	for _, step := range []string{stepDevices, stepUsr, stepMount, stepHandOver} {
		if err := f.step(step, func() error { f.events <- step; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	f.expect(t, stepDevices, "shell", stepUsr, stepMount, "shell", stepHandOver)
	if !f.report.Shell || !strings.Contains(f.offers[0].Greeting, "breakpoint pre-verity, before: open /usr") ||
		strings.Contains(f.offers[0].Greeting, newRoot) || !strings.Contains(f.offers[1].Greeting, newRoot) {
		t.Errorf("%+v", f.offers)
	}
	for _, want := range []string{"stopped at the breakpoint pre-verity", "somebody used a shell", "going on with: open /usr"} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("no %q in\n%s", want, f.log.String())
		}
	}
	if !f.deadline.Stop() {
		t.Error("the deadline does not run any more")
	}
}

// Whoever does not know the passphrase does not get past the breakpoint either: the boot ends.
func TestABreakpointThatNobodyMayEnter(t *testing.T) {
	f := newFailure(t)
	f.withShell(plan.ActionPassphrase, false, errors.New("three wrong passphrases"))
	f.breakpoints = []plan.Breakpoint{plan.BreakMount}
	err := f.step(stepMount, func() error { t.Error("it went on"); return nil })
	if err == nil || failureCode(stepMount, err).Name != "PR-PASSPHRASE" || f.report.Shell {
		t.Errorf("%v", err)
	}
}
