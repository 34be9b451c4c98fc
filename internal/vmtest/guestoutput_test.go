package vmtest

import (
	"strings"
	"testing"
	"time"
)

const sampleConsole = "[    1.2] Run /init as init process\n\n" +
	"preroot-guest: BEGIN internal/a\n" +
	"\x16=== RUN   TestGood\n" +
	"a line of a test\n" +
	"\x16--- PASS: TestGood (0.25s)\n" +
	"\x16=== NAME  \n" +
	"\x16=== RUN   TestBad\n" +
	"\x16=== RUN   TestBad/part\n" +
	"    a_test.go:7: wrong\n" +
	"\x16--- FAIL: TestBad/part (0.00s)\n" +
	"\x16=== NAME  TestBad\n" +
	"\x16--- FAIL: TestBad (0.00s)\n" +
	"\x16=== NAME  \n" +
	"\x16=== RUN   TestSkips\n" +
	"\x16--- SKIP: TestSkips (0.00s)\n" +
	"\x16=== NAME  \n" +
	"\x16FAIL\n" +
	"\n" +
	"preroot-guest: END internal/a 1\n" +
	"preroot-guest: BEGIN internal/b\n" +
	"\x16=== RUN   TestHangs\n"

func sampleTests() *GuestTests {
	return &GuestTests{
		packages: []GuestPackage{{Path: "internal/a"}, {Path: "internal/b"}, {Path: "internal/c"}},
		names:    [][]string{{"TestGood", "TestBad", "TestSkips"}, {"TestHangs", "TestLater"}, {"TestNever"}},
	}
}

func judgeSample(t *testing.T, console string) *GuestResult {
	t.Helper()
	run := &Run{Console: console, End: EndedByGuest}
	for line := range strings.SplitSeq(console, "\n") {
		run.Lines = append(run.Lines, Line{Text: line})
	}
	result, err := sampleTests().judge(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestGuestOutputBecomesResults(t *testing.T) {
	result := judgeSample(t, sampleConsole)
	want := `pass       internal/a TestGood
fail       internal/a TestBad
fail       internal/a TestBad/part
skip       internal/a TestSkips
unfinished internal/b TestHangs
missing    internal/b TestLater
fail       internal/b the test program did not come to its end
missing    internal/c TestNever
fail       internal/c the test program did not come to its end
`
	if got := result.String(); !strings.HasPrefix(got, want) {
		t.Errorf("results:\n%s\nwant:\n%s", got, want)
	}
	if !strings.Contains(result.Problem, "TestHangs") {
		t.Errorf("the last lines of the dead guest are not told: %q", result.Problem)
	}
	first := result.Packages[0]
	if !first.Finished || first.Status != 1 || first.OK() {
		t.Errorf("%+v", first)
	}
	if good := first.Tests[0]; good.Elapsed != 250*time.Millisecond || !strings.Contains(good.Output, "a line of a test") {
		t.Errorf("%+v", good)
	}
	if part := first.Tests[2]; !strings.Contains(part.Output, "a_test.go:7: wrong") {
		t.Errorf("%+v", part)
	}
}

func TestGuestThatCameToItsEndHasNoProblem(t *testing.T) {
	console := "preroot-guest: BEGIN internal/a\n\x16=== RUN   TestGood\n\x16--- PASS: TestGood (0.00s)\n\x16=== NAME  \n\x16PASS\n" +
		"preroot-guest: END internal/a 0\n\npreroot-guest: DONE\n"
	result := judgeSample(t, console)
	if result.Problem != "" {
		t.Error(result.Problem)
	}
	if result.Packages[0].OK() {
		t.Error("two expected tests never started, and the package is called good")
	}
}

func TestProblemOfTheGuestIsTold(t *testing.T) {
	result := judgeSample(t, "preroot-guest: PROBLEM load loop: not there\n")
	if result.Problem != "load loop: not there" {
		t.Errorf("%q", result.Problem)
	}
}

func TestProgramThatFailsWithoutAFailedTest(t *testing.T) {
	for _, c := range []struct {
		result PackageResult
		good   bool
	}{
		{PackageResult{Finished: true}, true},
		{PackageResult{Finished: true, Status: 1, Tests: []TestResult{{Outcome: Failed}}}, true},
		{PackageResult{Finished: true, Status: 1, Tests: []TestResult{{Outcome: Passed}}}, false},
		{PackageResult{Finished: true, Status: 2, Tests: []TestResult{{Outcome: Failed}}}, false},
		{PackageResult{Finished: true, Status: 139}, false},
		{PackageResult{}, false},
	} {
		if err := c.result.programError(); (err == nil) != c.good {
			t.Errorf("%+v: %v", c.result, err)
		}
	}
}

func FuzzCutGuestOutput(f *testing.F) {
	f.Add(sampleConsole)
	f.Add("preroot-guest: END a 0\npreroot-guest: BEGIN a\npreroot-guest: END a x\npreroot-guest: DONE")
	f.Fuzz(func(t *testing.T, console string) {
		total := 0
		for _, section := range cutGuestOutput(console).sections {
			total += len(section.text)
		}
		if total > len(console)+1 {
			t.Errorf("%d bytes in sections of a console of %d", total, len(console))
		}
	})
}

func FuzzParseTestEvents(f *testing.F) {
	f.Add(`{"Action":"run","Test":"TestA"}` + "\n" + `{"Action":"pass","Test":"TestA","Elapsed":0.1}`)
	f.Add(`{"Action":"output","Output":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		events, err := parseTestEvents(strings.NewReader(text))
		if err == nil {
			collectTests(events, []string{"TestA"})
		}
	})
}

func TestNamesOfGuestTests(t *testing.T) {
	names, err := guestTestNames("testdata/failing")
	if err != nil {
		t.Fatal(err)
	}
	want := "TestPasses TestFails TestHasFailingPart TestLeavesOut TestPanics TestNeverStarts"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := guestTestNames("."); err == nil {
		t.Error("a package without guest tests was taken")
	}
	for name, want := range map[string]bool{"TestX": true, "Test": true, "Test1": true, "Testing": false, "TestMain": false, "X": false} {
		if isTestName(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
