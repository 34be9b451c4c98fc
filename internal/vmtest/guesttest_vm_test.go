//go:build vm

package vmtest

import (
	"strings"
	"testing"
)

// TestFailuresOfTheGuestAreReported boots tests that fail in every way a test
// can fail, and reads what the host made of it.
func TestFailuresOfTheGuestAreReported(t *testing.T) {
	t.Parallel()
	result := bootGuest(t, Forky, "internal/vmtest/testdata/failing")
	if result.Problem != "" || len(result.Packages) != 1 {
		t.Fatalf("the guest did not come to its end:\n%s", result)
	}
	p := result.Packages[0]
	said := map[string]string{"TestFails": "failed as planned", "TestPanics": "panicked as planned"}
	want := map[string]Outcome{
		"TestPasses":              Passed,
		"TestFails":               Failed,
		"TestHasFailingPart":      Failed,
		"TestHasFailingPart/good": Passed,
		"TestHasFailingPart/bad":  Failed,
		"TestLeavesOut":           Skipped,
		"TestPanics":              Unfinished, // with the panic in its output
		"TestNeverStarts":         Missing,
	}
	for _, test := range p.Tests {
		if want[test.Name] != test.Outcome {
			t.Errorf("%s: %s, want %q", test.Name, test.Outcome, want[test.Name])
		}
		delete(want, test.Name)
		if !strings.Contains(test.Output, said[test.Name]) {
			t.Errorf("output of %s: %q", test.Name, test.Output)
		}
	}
	if len(want) > 0 {
		t.Errorf("not reported: %v", want)
	}
	if p.OK() || !p.Finished || p.Status != 2 {
		t.Errorf("ok %v, finished %v, status %d; want a panic's status 2", p.OK(), p.Finished, p.Status)
	}
}

func TestGuestThatDiesIsReported(t *testing.T) {
	t.Parallel()
	result := bootGuest(t, Trixie, "internal/vmtest/testdata/dying")
	p := result.Packages[0]
	if p.OK() || p.Finished || p.Tests[0].Outcome != Unfinished {
		t.Errorf("reported as %+v", p)
	}
	if !strings.Contains(result.Problem, "did not run all tests") {
		t.Errorf("problem: %q", result.Problem)
	}
}

func bootGuest(t *testing.T, suite, path string) *GuestResult {
	t.Helper()
	testbed, err := OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := testbed.Kernel(suite)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := BuildGuestTests(t.Context(), t.TempDir(), []GuestPackage{{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	result, err := tests.Boot(t.Context(), kernel)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f s\n%s", result.Run.Wall.Seconds(), result)
	return result
}
