package vmtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest/guestplan"
)

// GuestResult is what a boot with guest tests led to, a package result for
// every package that was built, in their order.
type GuestResult struct {
	Run      *Run
	Packages []PackageResult

	// Problem says what the guest itself could not do, such as loading a
	// module, or how the machine ended before the last package did. Empty when
	// all programs ran to their end.
	Problem string
}

// Boot runs the tests in one machine with the given kernel. The machine gets
// 1 GiB and as much time as the packages' limits allow, on average less than half of them, and at least the longest one.
func (g *GuestTests) Boot(ctx context.Context, kernel Kernel) (*GuestResult, error) {
	image, err := g.pack(kernel)
	if err != nil {
		return nil, err
	}
	defer os.Remove(image)
	var all, longest time.Duration
	for _, p := range g.packages {
		all, longest = all+p.limit(), max(longest, p.limit())
	}
	timeout := 60*time.Second + max(longest, all*13/30)
	run, err := Boot(ctx, Config{
		Kernel: kernel.Image, Initrd: image, MemoryMiB: 1024,
		Append:  "console=ttyS0 panic=-1 cryptomgr.notests",
		Timeout: timeout,
		Reached: "Run /init as init process",
	})
	if err != nil {
		return nil, err
	}
	return g.judge(ctx, run)
}

// judge makes results of a console.
func (g *GuestTests) judge(ctx context.Context, run *Run) (*GuestResult, error) {
	output := cutGuestOutput(run.Console)
	result := &GuestResult{Run: run, Problem: output.problem}
	for i, p := range g.packages {
		r := PackageResult{Path: p.Path}
		var events []testEvent
		for _, section := range output.sections {
			if section.path != p.Path {
				continue
			}
			var err error
			if events, err = convertTestOutput(ctx, section.text); err != nil {
				return nil, err
			}
			r.Finished, r.Status = section.finished, section.status
		}
		r.Tests, r.Output = collectTests(events, g.names[i])
		result.Packages = append(result.Packages, r)
	}
	if result.Problem == "" && !output.done {
		result.Problem = fmt.Sprintf("the machine (%s, %.1f s) did not run all tests; the last lines:\n%s",
			run.End, run.Wall.Seconds(), run.Tail(40))
	}
	return result, nil
}

// RunGuestTests builds the packages' guest tests, boots them on the kernel of a
// suite (Forky, Trixie) and makes every test of the guest a subtest of t,
// PACKAGE/TEST. A test that fails, skips, never ends or never starts fails
// there, with its output; so does a guest that dies. All packages share one
// boot.
func RunGuestTests(t *testing.T, suite string, packages []GuestPackage) {
	t.Helper()
	tests, err := BuildGuestTests(t.Context(), t.TempDir(), packages)
	if err != nil {
		t.Fatal(err)
	}
	tests.Run(t, suite)
}

// Run boots tests that are built already. It may be called for several kernels.
func (g *GuestTests) Run(t *testing.T, suite string) {
	t.Helper()
	testbed, err := OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := testbed.Kernel(suite)
	if err != nil {
		t.Fatal(err)
	}
	result, err := g.Boot(t.Context(), kernel)
	if err != nil {
		t.Fatal(err)
	}
	if result.Run.Discarded != "" {
		t.Logf("booted twice; the first console ended with:\n%s", lastLine(result.Run.Discarded))
	}
	t.Logf("kernel %s, %s, %.1f s", kernel.Release, result.Run.Accelerator, result.Run.Wall.Seconds())
	for _, p := range result.Packages {
		t.Run(p.Path, func(t *testing.T) { reportPackage(t, p) })
	}
	if result.Problem != "" {
		t.Error(result.Problem)
	}
}

func reportPackage(t *testing.T, p PackageResult) {
	for _, test := range p.Tests {
		t.Run(test.Name, func(t *testing.T) {
			t.Logf("%s in the guest after %.2f s", test.Outcome, test.Elapsed.Seconds())
			if test.Outcome != Passed {
				t.Errorf("outcome in the guest: %s\n%s", test.Outcome, test.Output)
			}
		})
	}
	if err := p.programError(); err != nil {
		t.Errorf("%v\n%s", err, p.Output)
	}
}

// programError says what is wrong with the end of the program itself. A failed
// test makes the exit status 1, which is told by the test.
func (p PackageResult) programError() error {
	failed := false
	for _, test := range p.Tests {
		failed = failed || test.Outcome == Failed
	}
	switch {
	case !p.Finished:
		return errors.New("the test program did not come to its end")
	case p.Status != 0 && (p.Status != 1 || !failed):
		return fmt.Errorf("the test program ended with status %d", p.Status)
	}
	return nil
}

// String gives the results as text, one line a test.
func (r *GuestResult) String() string {
	var text strings.Builder
	for _, p := range r.Packages {
		for _, test := range p.Tests {
			fmt.Fprintf(&text, "%-10s %s %s\n", test.Outcome, p.Path, test.Name)
		}
		if err := p.programError(); err != nil {
			fmt.Fprintf(&text, "%-10s %s %v\n", Failed, p.Path, err)
		}
	}
	if r.Problem != "" {
		fmt.Fprintf(&text, "%s%s\n", guestplan.MarkProblem, r.Problem)
	}
	return text.String()
}
