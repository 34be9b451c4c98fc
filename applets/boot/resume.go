package boot

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/plan"
)

// bootUntilDone boots, and again from the step that failed for as long as somebody in a shell mends the cause and resumes.
func (b *boot) bootUntilDone(arguments []string) {
	for {
		reason := b.run(arguments)
		// A person takes the time it takes; run sets it again.
		b.deadline.Stop()
		b.stop(reason, b.notResumable(reason))
	}
}

// notResumable says why the boot cannot go on after an error; empty if it can.
func (b *boot) notResumable(reason error) string {
	switch {
	case is[*bugError](reason):
		return "preroot has a bug, and what it left behind is not known"
	case b.left != "":
		return b.left
	case !b.done[stepAPI]:
		return "there is nothing yet to go on from"
	}
	return ""
}

// once runs a step, unless it was done before the boot was resumed.
func (b *boot) once(name string, run func() error) error {
	if b.done[name] {
		return nil
	}
	err := b.step(name, run)
	if err == nil {
		b.markDone(name)
	}
	return err
}

func (b *boot) markDone(name string) {
	if b.done == nil {
		b.done = map[string]bool{}
	}
	b.done[name] = true
}

// resume gets everything ready to go on, with words behind the kernel command line. After an error nothing has changed.
func (b *boot) resume(words string) error {
	if err := b.replan(words); err != nil {
		return err
	}
	b.log.Printf(bootlog.Warning, "somebody resumes the boot from the step: %s", b.screen.Step)
	b.record(func() {
		r := b.report
		r.Resumed = append(r.Resumed, bootreport.Resume{Step: b.screen.Step, Failure: r.Failure, FailureCode: r.FailureCode, Words: words})
		r.Failure, r.FailureCode = "", ""
		_ = r.Write(b.reportFile)
	})
	b.failed.Store(false)
	return nil
}

// replan plans again with words behind the kernel command line, and those of earlier calls. What is open or mounted stays so: words
// that would have it otherwise are an error, after which nothing has changed.
func (b *boot) replan(words string) error {
	if words == "" {
		return nil
	}
	typed := strings.TrimSpace(b.typed + " " + words)
	if !b.done[stepSettings] {
		// They are read when the step is done again.
		b.typed = typed
		return nil
	}
	line := b.words.With(kernelcmdline.Parse(words))
	again, err := plan.PlanBoot(line, b.settings)
	if err != nil {
		return err
	}
	usr, root := !again.HasUsrOf(b.plan), !again.HasRootOf(b.plan)
	switch {
	case usr && b.done[stepUsr]:
		return errors.New("/usr is open already, and stays what it is")
	case root && (b.done[stepMount] || b.rootOpen):
		return errors.New("the root is open or mounted already, and stays what it is")
	}
	b.typed, b.words, b.plan, b.planned = typed, line, again, slices.Clone(again.Fallback)
	if usr || root {
		delete(b.done, stepDevices)
		delete(b.done, stepRoot)
		b.reached = false
	}
	b.log.Printf(bootlog.Warning, "words of somebody in the shell: %s", words)
	return nil
}

// unmountRoot takes back a mount of root and /usr that failed half-way.
func (b *boot) unmountRoot() {
	if err := apply.UnmountRoot(newRoot); err != nil {
		b.left = fmt.Sprintf("what was mounted cannot be taken back: %v", err)
	}
}
