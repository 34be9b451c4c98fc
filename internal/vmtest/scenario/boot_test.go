//go:build vm

package scenario

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

func prepare(t *testing.T, suite string) *Machine {
	t.Helper()
	m, err := Prepare(suite, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestBoot boots the guest on both kernels and wants everything proved.
func TestBoot(t *testing.T) {
	for _, suite := range []string{vmtest.Forky, vmtest.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := prepare(t, suite)
			run, err := m.Boot(t.Context(), Start{Append: RefreshWords(suite)})
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			report, err := Parse(run.Console)
			if err != nil {
				t.Fatalf("%v\n%s", err, run.Tail(60))
			}
			judge(t, run, Check(report, m.Kernel.Release))
		})
	}
}

// TestMergeNeedsNoHelpOnEitherKernel stops where systemd would start, without
// the words that systemd's own tools need on 6.12.
func TestMergeNeedsNoHelpOnEitherKernel(t *testing.T) {
	for _, suite := range []string{vmtest.Forky, vmtest.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			run, err := prepare(t, suite).Boot(t.Context(), Start{Append: "init=/usr/lib/testbed/init-stop"})
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			mark, found := run.Find("testbed: mark init ")
			if !found || !strings.Contains(mark.Text, " confext=present sysext=present ") {
				t.Fatalf("the real root's init saw %q\n%s", mark.Text, run.Tail(60))
			}
			t.Log(mark.Text)
		})
	}
}

// judge makes a subtest of every finding and shows the console where one
// failed.
func judge(t *testing.T, run *vmtest.Run, findings []Finding) {
	t.Helper()
	for _, f := range findings {
		t.Run(f.Point, func(t *testing.T) {
			if !f.OK {
				t.Fatal(f.Detail)
			}
			t.Log(f.Detail)
		})
	}
	if len(Failed(findings)) > 0 {
		t.Logf("the console:\n%s", run.Tail(2000))
	}
}

func logRun(t *testing.T, run *vmtest.Run) {
	t.Helper()
	if run.Discarded != "" {
		t.Logf("booted twice; the first console was:\n%s", run.Discarded)
	}
	t.Logf("%s, %s, %.1f s", run.Accelerator, run.End, run.Wall.Seconds())
}
