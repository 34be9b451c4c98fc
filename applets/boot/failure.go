package boot

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/failurescreen"
	"github.com/preroot/preroot/internal/plan"
)

const (
	// consoleTime bounds what a console that takes nothing costs.
	consoleTime = 2 * time.Second
	// printTime lets the kernel write its own records before the screen.
	printTime = 300 * time.Millisecond
)

// bugError is a panic of ours.
type bugError struct{ reason any }

func (e *bugError) Error() string { return fmt.Sprintf("preroot has a bug: %v", e.reason) }

// tooLongError says that the time for the whole boot is over.
type tooLongError struct{ limit time.Duration }

func (e *tooLongError) Error() string { return fmt.Sprintf("the boot took longer than %v", e.limit) }

// catch turns a panic of the calling goroutine into an error: PID 1 must not
// end.
func (b *boot) catch(err *error) {
	if reason := recover(); reason != nil {
		*err = &bugError{reason}
		b.log.Printf(bootlog.Error, "%s", debug.Stack())
	}
}

// guarded returns run for a goroutine of its own: a panic there ends the boot
// like one here.
func (b *boot) guarded(run func()) func() {
	return func() {
		err := func() (err error) {
			defer b.catch(&err)
			run()
			return nil
		}()
		if err != nil {
			b.fail(err)
		}
	}
}

// stopIfFailed keeps the boot from going on while its failure is being shown.
func (b *boot) stopIfFailed() {
	if b.failed.Load() {
		select {}
	}
}

// fail shows why the boot cannot go on, offers a shell if the image allows it, gives time to read, and restarts the
// machine. It does not return; only the first call says anything.
func (b *boot) fail(reason error) {
	b.stop(reason, "the boot was stopped from beside it, and hangs in the step that failed")
	// Nobody resumes what cannot be resumed, and PID 1 must not end.
	select {}
}

// stop does that, but returns if a person in a shell wants the boot to go on and it can: notResumable, if not empty, says why
// it cannot.
func (b *boot) stop(reason error, notResumable string) {
	if !b.failed.CompareAndSwap(false, true) {
		select {}
	}
	level := b.consoles.level()
	// What has hung may hold what is needed to tell: the machine restarts all the same.
	shown := within(b.showTime, "the message", func() error { return b.show(reason) })
	b.complain(shown)
	offered := hasShell && b.failure.Action != plan.ActionReboot
	switch {
	case errors.Is(shown, errLate):
		offered = false
	case offered:
		var resumed bool
		if resumed, offered = b.stopForShell(notResumable); resumed {
			b.consoles.restoreLevel(level)
			return
		}
	default:
		b.complain(within(b.showTime, "the screen", b.display))
	}
	if !offered {
		b.sleep(b.failure.ReadingTime)
	}
	for {
		if err := b.end(b.failure.Ending); err != nil {
			b.complain(fmt.Errorf("restart: %w", err))
		}
		// Nothing else is left to do, and PID 1 must not end.
		b.sleep(time.Minute)
	}
}

// complain logs what went wrong while a failure was told.
func (b *boot) complain(err error) {
	if err != nil {
		_ = within(b.showTime, "the log", func() error {
			b.log.Fail(err.Error())
			return nil
		})
	}
}

// stopForShell offers a shell until somebody leaves it. left says that somebody did, who needs no time to read.
func (b *boot) stopForShell(notResumable string) (resumed, left bool) {
	var err error
	defer b.catch(&err)
	o := Offer{NotResumable: notResumable, Why: b.explainStop("It failed ("+b.screen.Code.Name+"):\n"+b.screen.Cause, b.screen.Step)}
	for {
		outcome, err := b.rescue(o)
		if err != nil {
			b.complain(err)
			return false, false
		}
		if !outcome.Resume || notResumable != "" {
			return false, true
		}
		if err = b.resume(outcome.Words); err == nil {
			return true, true
		}
		o.Greeting = fmt.Sprintf("resume %s: %v\n", outcome.Words, err)
	}
}

// ending says what becomes of the machine.
func (b *boot) ending() string {
	switch b.failure.Ending {
	case plan.EndPowerOff:
		return "powering off"
	case plan.EndHalt:
		return "halting"
	}
	return "restarting"
}

// show tells the reason in the kernel log, which reaches the consoles, and in the report, and keeps it over the restart.
func (b *boot) show(reason error) (err error) {
	defer b.catch(&err)
	if reason == nil {
		reason = errors.New("the boot ended without a reason")
	}
	text := reason.Error()
	if !b.log.IsOpen() {
		// What hangs is the first step.
		b.log.Reopen()
	}
	b.log.Fail("boot failed: " + text)
	var step, previous string
	var done []string
	earlier, _ := errors.AsType[*earlierError](reason)
	b.record(func() {
		previous = b.report.PreviousFailure
		if step = b.current; step == "" && len(b.report.Steps) > 0 {
			step = b.report.Steps[len(b.report.Steps)-1].Name
		}
		if earlier != nil {
			step = earlier.step
		}
		for _, s := range b.report.Steps {
			if s.Error == "" && s.Name != step {
				done = append(done, s.Name)
			}
		}
	})
	code := failureCode(step, reason)
	b.screen = failurescreen.Screen{
		Code: code, Cause: text, Step: step, Done: done, Previous: previous,
		System: fmt.Sprintf("Linux %s, preroot %s; docs/failure.md has all codes", b.report.Kernel, b.program.Profile),
	}
	if missing, ok := errors.AsType[*missingError](reason); ok {
		b.screen.Waited = fmt.Sprintf("%s, %v", missing.what, missing.limit)
	}
	b.record(func() {
		b.report.Failure, b.report.FailureCode = text, code.Name
		b.report.End()
		_ = b.report.Write(b.reportFile)
	})
	b.keep(code.Name + " " + step + "\n" + text)
	return nil
}

// display writes the screen to every console, and goes on doing so for those that come later, until the machine restarts.
func (b *boot) display() (err error) {
	defer b.catch(&err)
	next := fmt.Sprintf("%s in %v", b.ending(), b.failure.ReadingTime)
	b.log.Fail(next)
	b.screen.Next = fmt.Sprintf("%s%s.", strings.ToUpper(next[:1]), next[1:])
	if b.failure.Why != "" {
		b.screen.Next += "\nNo shell: " + b.failure.Why + "."
	}
	b.showOnConsoles()
	return nil
}

// showOnConsoles returns when the consoles of now have the screen, and keeps later ones in view until end is called.
func (b *boot) showOnConsoles() (end func()) {
	b.screen.Unbound = nil
	for _, device := range blockdev.UnboundDevices(b.consoles.sys) {
		b.screen.Unbound = append(b.screen.Unbound, failurescreen.Device{Name: device.Name, Modalias: device.Modalias})
	}
	text := "\n" + b.screen.Text()
	shown := map[string]bool{}
	changed := b.consoles.watch()
	b.consoles.settle()
	show := func() {
		done := make(chan struct{}, 64)
		count := 0
		for _, name := range b.consoles.active() {
			if !shown[name] && count < cap(done) {
				shown[name] = true
				count++
				go func() {
					_ = b.consoles.write(name, text)
					done <- struct{}{}
				}()
			}
		}
		for range count {
			<-done
		}
	}
	show()
	ended := make(chan struct{})
	go func() {
		var err error
		defer b.catch(&err)
		for {
			select {
			case <-changed:
				show()
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended) }
}
