package boot

import (
	"fmt"
	"slices"
	"time"

	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/plan"
)

// Program says what is in the binary besides the boot.
type Program struct {
	// Profile is its name.
	Profile string
	// Shell offers a shell on every console and returns when somebody left one. It is nil in a program without.
	Shell func(Offer) (Outcome, error)
}

// Offer is what a shell is offered with.
type Offer struct {
	// PassphraseHash is what has to be known first; empty if nothing.
	PassphraseHash string
	// AnswerTime bounds the wait for somebody; 0 for ever.
	AnswerTime time.Duration
	// Greeting is shown on every console first, Why when somebody asks what happened.
	Greeting, Why string
	// NotResumable says why the boot cannot go on; empty if it can.
	NotResumable string
	// Terminal is the only terminal to open, as below /dev; empty for all consoles.
	Terminal string
	// Stop ends it when it is closed; nil never does.
	Stop <-chan struct{}
}

// Outcome is how an offer ended.
type Outcome struct {
	// Entered says that somebody was in a shell.
	Entered bool
	// Resume says that the boot shall go on, with Words behind the kernel command line.
	Resume bool
	Words  string
}

// deniedError says that nobody was let in.
type deniedError struct{ reason error }

func (e *deniedError) Error() string { return e.reason.Error() }
func (e *deniedError) Unwrap() error { return e.reason }

// breakStep says in front of which step a breakpoint lies.
func breakStep(point plan.Breakpoint) string {
	switch point {
	case plan.BreakDevices:
		return stepDevices
	case plan.BreakVerity:
		return stepUsr
	case plan.BreakMount:
		return stepMount
	case plan.BreakEtc:
		return stepEtc
	case plan.BreakMerge:
		return stepExtensions
	case plan.BreakSwitchRoot:
		return stepHandOver
	}
	return ""
}

// breakBefore stops in front of a step if the command line asks for it, until somebody leaves the shell.
func (b *boot) breakBefore(step string) error {
	if !hasShell {
		return nil
	}
	i := slices.IndexFunc(b.breakpoints, func(point plan.Breakpoint) bool { return breakStep(point) == step })
	if i < 0 {
		return nil
	}
	point := b.breakpoints[i]
	b.log.Printf(bootlog.Notice, "stopped at the breakpoint %s, before: %s", point, step)
	// A person takes the time it takes.
	if b.deadline != nil && !b.deadline.Stop() {
		b.stopIfFailed()
	}
	// It is passed once, also where the step is done again.
	b.breakpoints = slices.Delete(slices.Clone(b.breakpoints), i, i+1)
	o := Offer{Why: b.explainStop(fmt.Sprintf("It stands at the breakpoint %s.", point), step)}
	o.Greeting = fmt.Sprintf("The boot stands at the breakpoint %s, before: %s.\n%s\"exit\" goes on with the boot.\n", point, step, b.mounted(point))
	for {
		outcome, err := b.offer(o)
		if err != nil && !outcome.Entered {
			return &deniedError{fmt.Errorf("breakpoint %s: %w", point, err)}
		}
		if err != nil {
			b.warn("the shell at the breakpoint %s ended: %v", point, err)
		}
		problem := b.replan(outcome.Words)
		if problem == nil {
			break
		}
		o.Greeting = fmt.Sprintf("resume %s: %v\n", outcome.Words, problem)
	}
	if b.deadline != nil {
		b.setDeadline(b.timeLimit())
	}
	b.log.Printf(bootlog.Notice, "going on with: %s", step)
	return nil
}

// mounted tells where the new system is.
func (b *boot) mounted(point plan.Breakpoint) string {
	if slices.Index(plan.Breakpoints, point) > slices.Index(plan.Breakpoints, plan.BreakMount) {
		return "The real root is mounted on " + newRoot + ".\n"
	}
	return ""
}

// rescue offers a shell after a failure.
func (b *boot) rescue(o Offer) (outcome Outcome, err error) {
	defer b.catch(&err)
	b.log.Fail("a shell is offered")
	leave := fmt.Sprintf("\"exit\" leaves it and ends in %s.", b.ending())
	if o.NotResumable == "" {
		leave = "\"resume\" goes on with the boot once the cause is mended, " + leave
	}
	b.screen.Next = "A shell follows; " + leave
	if b.failure.AnswerTime > 0 {
		b.screen.Next += fmt.Sprintf(" Without an answer so does the machine in %v.", b.failure.AnswerTime)
	}
	defer b.showOnConsoles()()
	return b.offer(o)
}

// offer opens the way into a shell and notes if somebody was there.
func (b *boot) offer(o Offer) (Outcome, error) {
	if b.program.Shell == nil {
		return Outcome{}, fmt.Errorf("this preroot has no shell (profile %s)", b.program.Profile)
	}
	if o.Terminal == "" {
		o.AnswerTime = b.failure.AnswerTime
	}
	if b.failure.Action == plan.ActionPassphrase {
		o.PassphraseHash = b.failure.Passphrase.String()
	}
	// The applet report shall have something to show.
	b.record(func() { _ = b.report.Write(b.reportFile) })
	outcome, err := b.program.Shell(o)
	if outcome.Entered {
		b.log.Printf(bootlog.Warning, "somebody used a shell")
		b.record(func() {
			b.report.Shell = true
			_ = b.report.Write(b.reportFile)
		})
	}
	return outcome, err
}
