package boot

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/preroot/preroot/internal/bootlog"
)

// catch turns a panic of the calling goroutine into an error: PID 1 must not
// end.
func (b *boot) catch(err *error) {
	if reason := recover(); reason != nil {
		*err = fmt.Errorf("preroot has a bug: %v", reason)
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

// fail shows why the boot cannot go on, gives time to read it, and restarts the
// machine. It does not return; only the first call says anything.
func (b *boot) fail(reason error) {
	if !b.failed.CompareAndSwap(false, true) {
		select {}
	}
	if err := b.show(reason); err != nil {
		b.log.Fail(err.Error())
	}
	b.log.Fail(fmt.Sprintf("restarting in %v", b.readingTime))
	b.sleep(b.readingTime)
	for {
		if err := b.restart(); err != nil {
			b.log.Fail(fmt.Sprintf("restart: %v", err))
		}
		// Nothing else is left to do, and PID 1 must not end.
		b.sleep(time.Minute)
	}
}

// show tells the reason on the consoles and in the report.
func (b *boot) show(reason error) (err error) {
	defer b.catch(&err)
	if reason == nil {
		reason = errors.New("the boot ended without a reason")
	}
	b.log.Fail("boot failed: " + reason.Error())
	b.record(func() {
		b.report.Failure = reason.Error()
		b.report.End()
		_ = b.report.Write(b.reportFile)
	})
	return nil
}
