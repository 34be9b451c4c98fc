package boot

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
)

const resumeLine = "root=/dev/vda9 rw usrhash=5dc321a01b4e3e459e9e9f094966ab431698bb8d91760c9129e5f960a0d3cbad"

// newResume is a failed boot that has read its command line and settings, and where a shell is allowed.
func newResume(t *testing.T, outcomes ...Outcome) *failure {
	t.Helper()
	f := newFailure(t)
	f.withAnswers(plan.ActionShell, nil, outcomes...)
	f.words = kernelcmdline.Parse(resumeLine)
	f.report.CommandLine = resumeLine
	f.settings = plan.Settings{Failure: plan.NoFailureSettings()}
	var err error
	if f.plan, err = plan.PlanBoot(f.words, f.settings); err != nil {
		t.Fatal(err)
	}
	f.markDone(stepAPI)
	f.markDone(stepSettings)
	f.deadline = time.AfterFunc(time.Hour, func() {})
	return f
}

// Steps that are done are not done again; the one that failed is.
func TestResumeGoesOnWithTheFailedStep(t *testing.T) {
	f := newResume(t, Outcome{Entered: true, Resume: true})
	f.setActive("ttyS0")
	counts := map[string]int{}
	run := func() error {
		for _, step := range []string{stepDevices, stepUsr, stepMount} {
			err := f.once(step, func() error {
				counts[step]++
				if step == stepUsr && counts[step] == 1 {
					return errors.New("it is damaged")
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	reason := run()
	f.stop(reason, f.notResumable(reason))
	f.expect(t, "shell", "level 5")
	if err := run(); err != nil {
		t.Fatal(err)
	}
	if counts[stepDevices] != 1 || counts[stepUsr] != 2 || counts[stepMount] != 1 {
		t.Errorf("%v", counts)
	}
	if f.failed.Load() {
		t.Error("the boot does not go on")
	}
	report := f.readReport(t)
	if report.Failure != "" || report.FailureCode != "" || !report.Shell || len(report.Resumed) != 1 {
		t.Fatalf("%+v", report)
	}
	if r := report.Resumed[0]; r.Step != stepUsr || r.Failure != "it is damaged" || r.FailureCode != "PR-USR-OPEN" || r.Words != "" {
		t.Errorf("%+v", r)
	}
	if text := f.shown("ttyS0").String(); !strings.Contains(text, `"resume" goes on with the boot once the cause is mended`) {
		t.Errorf("%s", text)
	}
	if text := f.log.String(); !strings.Contains(text, "somebody resumes the boot from the step: open /usr") {
		t.Errorf("%s", text)
	}
	// A console that comes now has nothing to show.
	f.setActive("ttyS0 hvc0")
	select {
	case f.changed <- struct{}{}:
		t.Error("somebody still looks for consoles")
	case <-time.After(50 * time.Millisecond):
	}
}

// The whole boot goes on with what is not done, with its time, until somebody leaves the shell.
func TestBootUntilDone(t *testing.T) {
	f := newResume(t, Outcome{Entered: true, Resume: true}, Outcome{Entered: true})
	for _, step := range []string{stepStub, stepMount, stepEtc, stepExtensions} {
		f.markDone(step)
	}
	f.reached, f.lastRead = true, make(chan struct{})
	f.found.Root.Data = &observe.Partition{}
	var deadlines []*time.Timer
	shell := f.program.Shell
	f.program.Shell = func(o Offer) (Outcome, error) {
		if f.deadline.Stop() {
			t.Error("time runs while somebody is in the shell")
		}
		deadlines = append(deadlines, f.deadline)
		return shell(o)
	}
	// There is no new root here to hand over to.
	go f.bootUntilDone([]string{"init"})
	f.expect(t, "shell", "level 5", "shell", "reboot", "sleep 1m0s")
	report := f.readReport(t)
	if len(report.Resumed) != 1 || report.Resumed[0].Step != stepHandOver || report.FailureCode != "PR-HANDOVER" || len(report.Steps) != 2 {
		t.Errorf("%+v", report)
	}
	if len(deadlines) != 2 || deadlines[0] == deadlines[1] {
		t.Errorf("%v", deadlines)
	}
}

// The cause that was kept over the restart is not that of a boot that went well after all.
func TestResumeForgetsWhatWasKept(t *testing.T) {
	f := newResume(t, Outcome{Entered: true, Resume: true})
	f.stop(errors.New("x"), "")
	if record, _ := f.last.Read(); record == "" {
		t.Fatal("nothing was kept")
	}
	f.lastRead = make(chan struct{})
	close(f.lastRead)
	f.forgetLast()
	if record, _ := f.last.Read(); record != "" {
		t.Errorf("%q", record)
	}
}

func TestResumeWithWords(t *testing.T) {
	const usr = "/usr is open already"
	for _, c := range []struct {
		words string
		done  []string
		want  string // a part of the error
		again bool   // devices are looked for again
	}{
		{"root=/dev/vda4", nil, "", false},
		{"root=/dev/vda4", []string{stepDevices, stepUsr, stepRoot}, "", true},
		{"root=/dev/vda4", []string{stepDevices, stepUsr, stepRoot, stepMount}, "the root is open or mounted already", false},
		{"rootfstype=ext4", []string{stepDevices, stepUsr}, "", true},
		{"usrhash=" + strings.Repeat("0", 64), []string{stepDevices}, "", true},
		{"usrhash=" + strings.Repeat("0", 64), []string{stepDevices, stepUsr}, usr, false},
		{"usrhash=nonsense", nil, "usrhash=", false},
		{"rd.timeout=7", []string{stepDevices, stepUsr, stepMount}, "", false},
		{"init=/bin/sh", []string{stepDevices, stepUsr, stepMount, stepExtensions}, "", false},
		{"init=relative", nil, "init=relative is not an absolute path", false},
	} {
		f := newResume(t, Outcome{})
		for _, step := range c.done {
			f.markDone(step)
		}
		f.reached = len(c.done) > 0
		before := f.plan
		err := f.replan(c.words)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || f.plan != before || f.typed != "" || !f.reached && len(c.done) > 0 {
				t.Errorf("%s after %q: %v, words %q", c.words, c.done, err, f.typed)
			}
			continue
		}
		if err != nil || f.plan == before || f.typed != c.words {
			t.Errorf("%s after %q: %v", c.words, c.done, err)
		}
		if again := len(c.done) > 0 && !f.done[stepDevices]; again != c.again || again == f.reached && len(c.done) > 0 {
			t.Errorf("%s after %q: done %v, reached %v", c.words, c.done, f.done, f.reached)
		}
		if strings.HasPrefix(c.words, "root=") && f.plan.Root.Device.Value != "/dev/vda4" {
			t.Errorf("%+v", f.plan.Root)
		}
	}
}

// Words that cannot be honoured lead back into the shell, with the reason.
func TestResumeWithWrongWords(t *testing.T) {
	f := newResume(t, Outcome{Entered: true, Resume: true, Words: "init=relative"}, Outcome{Entered: true, Resume: true, Words: "init=/bin/sh"})
	f.stop(errors.New("x"), "")
	f.expect(t, "shell", "shell", "level 5")
	if len(f.offers) != 2 || f.offers[1].Greeting != "resume init=relative: init=relative is not an absolute path\n" {
		t.Errorf("%+v", f.offers)
	}
	if f.plan.Init != "/bin/sh" || f.report.Resumed[0].Words != "init=/bin/sh" {
		t.Errorf("%s, %+v", f.plan.Init, f.report.Resumed)
	}
}

// What cannot be resumed restarts the machine, whatever the shell says.
func TestWhatCannotBeResumed(t *testing.T) {
	f := newResume(t, Outcome{Entered: true, Resume: true})
	for name, want := range map[string]string{
		f.notResumable(&bugError{"x"}): "has a bug",
		f.notResumable(errors.New("")): "",
	} {
		if !strings.Contains(name, want) || want == "" && name != "" {
			t.Errorf("%q, want %q", name, want)
		}
	}
	f.left = "the root is switched already"
	if got := f.notResumable(errors.New("")); got != f.left {
		t.Errorf("%q", got)
	}
	go f.fail(&tooLongError{time.Minute})
	f.expect(t, "shell", "reboot", "sleep 1m0s")
	if f.offers[0].NotResumable == "" {
		t.Errorf("%+v", f.offers[0])
	}
}

func TestBreakpointTakesWords(t *testing.T) {
	f := newResume(t, Outcome{Entered: true, Resume: true, Words: "init=/bin/sh"})
	f.breakpoints = []plan.Breakpoint{plan.BreakMount}
	for range 2 {
		if err := f.step(stepMount, func() error { return errors.New("x") }); err == nil || err.Error() != "x" {
			t.Error(err)
		}
	}
	if f.plan.Init != "/bin/sh" || len(f.offers) != 1 {
		t.Errorf("%s, %d offers", f.plan.Init, len(f.offers))
	}
}

func TestExplainStop(t *testing.T) {
	f := newResume(t, Outcome{Entered: true})
	_ = f.step(stepDevices, func() error { return nil })
	f.current = stepUsr
	go f.fail(&missingError{what: "PARTUUID=x (root)", limit: time.Minute, present: "there are: /dev/vda1"})
	f.expect(t, "shell", "reboot", "sleep 1m0s")
	why := f.offers[0].Why
	for _, want := range []string{"It failed (PR-DEV-MISSING):\nno partition PARTUUID=x (root) appeared within 1m0s\nthere are: /dev/vda1\n",
		"Waited for: PARTUUID=x (root), 1m0s\n", "Done:       find devices\n", "Step:       open /usr\n", "To come:    look at the root, ", "What to do: ",
		"Words:      root=/dev/vda9"} {
		if !strings.Contains(why, want) {
			t.Errorf("no %q in\n%s", want, why)
		}
	}
}

func TestDebugShell(t *testing.T) {
	f := newFailure(t)
	f.startDebugShell() // none is wanted
	f.debugTerminal, f.failure.Action = "ttyS1", plan.ActionShell
	opened := make(chan Offer)
	f.program.Shell = func(o Offer) (Outcome, error) {
		opened <- o
		<-o.Stop
		return Outcome{Entered: true}, os.ErrClosed
	}
	f.startDebugShell()
	if o := <-opened; o.Terminal != "ttyS1" || o.NotResumable == "" || o.AnswerTime != 0 {
		t.Errorf("%+v", o)
	}
	f.stopDebugShell()
	f.stopDebugShell()
	if !f.report.Shell || strings.Contains(f.log.String(), "does not end") {
		t.Errorf("%v, %s", f.report.Shell, f.log.String())
	}
}
