package boot

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
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
	// events are what fail did: "sleep 10s", "restart".
	events chan string
}

// newFailure makes one whose restart answers with an error, and whose goroutine ends at the long sleep
// after that.
func newFailure(t *testing.T) *failure {
	t.Helper()
	f := &failure{log: &safeBuffer{}, events: make(chan string, 16)}
	f.boot = &boot{
		log: bootlog.New(f.log), report: bootreport.New("", "", profile), reasons: map[string]string{},
		restorePanic: func() {}, readingTime: readingTime, reportFile: filepath.Join(t.TempDir(), "run/report.json"),
		restart: func() error {
			f.events <- "restart"
			return errors.New("not today")
		},
		sleep: func(d time.Duration) {
			f.events <- "sleep " + d.String()
			if d == time.Minute {
				runtime.Goexit()
			}
		},
	}
	return f
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
	f.readingTime = 3 * time.Second
	go f.fail(errors.New("the disk is gone\nplug it in"))
	f.expect(t, "sleep 3s", "restart", "sleep 1m0s")
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
	f.readingTime = 0
	go f.fail(errors.New("x"))
	f.expect(t, "sleep 0s", "restart", "sleep 1m0s")
}

func TestFailTellsOnce(t *testing.T) {
	f := newFailure(t)
	for _, reason := range []string{"one", "two", "three"} {
		go f.fail(errors.New(reason))
	}
	f.expect(t, "sleep 10s", "restart", "sleep 1m0s")
	// The others must not come this far; nothing tells that they never will.
	time.Sleep(50 * time.Millisecond)
	if text := f.log.String(); strings.Count(text, "boot failed: ") != 1 || len(f.events) != 0 {
		t.Error(text)
	}
}

func TestFailWithoutAReason(t *testing.T) {
	f := newFailure(t)
	go f.fail(nil)
	f.expect(t, "sleep 10s", "restart", "sleep 1m0s")
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
	f.expect(t, "sleep 10s", "restart", "sleep 1m0s")
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
	f.expect(t, "sleep 10s", "restart", "sleep 1m0s")
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
	f.expect(t, "sleep 10s", "restart", "sleep 1m0s")
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
	if code := Main([]string{"init"}); code != 1 {
		t.Errorf("exit code %d", code)
	}
}
