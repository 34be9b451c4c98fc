package vmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/vmtest/guestplan"
)

// Outcome is how a test in the guest ended.
type Outcome string

// The outcomes. Unfinished is a test that started and never said how it ended;
// Missing one that should have run and did not start.
const (
	Passed     Outcome = "pass"
	Failed     Outcome = "fail"
	Skipped    Outcome = "skip"
	Unfinished Outcome = "unfinished"
	Missing    Outcome = "missing"
)

// TestResult is one test or subtest of the guest, with the name and the output
// that go test would give it.
type TestResult struct {
	Name    string
	Outcome Outcome
	Elapsed time.Duration
	Output  string
}

// PackageResult is what one test program of the guest said.
type PackageResult struct {
	Path  string
	Tests []TestResult

	// Output belongs to no test: a panic at start, a data race report.
	Output string

	// Finished tells that the guest's init saw the program end, Status how:
	// its exit status, or 128 and the signal.
	Finished bool
	Status   int
}

// OK tells whether the program ended well and every test passed. A skipped
// test is no passed one: a guest has what its tests need, or they are wrong.
func (p PackageResult) OK() bool {
	for _, test := range p.Tests {
		if test.Outcome != Passed {
			return false
		}
	}
	return p.Finished && p.Status == 0
}

// guestOutput is a console cut at the marks of the guest's init.
type guestOutput struct {
	sections []guestSection
	problem  string
	done     bool
}

type guestSection struct {
	path     string
	text     string
	finished bool
	status   int
}

// cutGuestOutput finds the marks on a console. A section that has no end lasts
// to the end of the console.
func cutGuestOutput(text string) guestOutput {
	var output guestOutput
	var body strings.Builder
	open := false
	closeSection := func() {
		if open {
			output.sections[len(output.sections)-1].text = body.String()
		}
		open = false
		body.Reset()
	}
	for line := range strings.SplitSeq(text, "\n") {
		if path, found := strings.CutPrefix(line, guestplan.MarkBegin); found {
			closeSection()
			output.sections = append(output.sections, guestSection{path: path})
			open = true
			continue
		}
		if rest, found := strings.CutPrefix(line, guestplan.MarkEnd); found && open {
			last := &output.sections[len(output.sections)-1]
			path, number, _ := strings.Cut(rest, " ")
			if status, err := strconv.Atoi(number); err == nil && path == last.path {
				last.finished, last.status = true, status
				closeSection()
				continue
			}
		}
		if problem, found := strings.CutPrefix(line, guestplan.MarkProblem); found {
			closeSection()
			output.problem = problem
			continue
		}
		if line == guestplan.MarkDone {
			closeSection()
			output.done = true
			continue
		}
		if open {
			body.WriteString(line)
			body.WriteByte('\n')
		}
	}
	closeSection()
	return output
}

// testEvent is a line of `go tool test2json` (go doc test2json).
type testEvent struct {
	Action  string
	Test    string
	Output  string
	Elapsed float64
}

// convertTestOutput lets the go command's own tool make events of the output of
// a test program that ran with -test.v=test2json.
func convertTestOutput(ctx context.Context, text string) ([]testEvent, error) {
	command := exec.CommandContext(ctx, "go", "tool", "test2json", "-t") // -t: with elapsed times
	command.Stdin = strings.NewReader(text)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool test2json: %w: %s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	return parseTestEvents(bytes.NewReader(output))
}

func parseTestEvents(r io.Reader) ([]testEvent, error) {
	var events []testEvent
	decoder := json.NewDecoder(r)
	for {
		var event testEvent
		err := decoder.Decode(&event)
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read test events: %w", err)
		}
		events = append(events, event)
	}
}

// collectTests puts the events of one program together, tests in the order of
// their start, and adds the expected ones that never started.
func collectTests(events []testEvent, expected []string) (tests []TestResult, rest string) {
	place := map[string]int{}
	var other strings.Builder
	for _, event := range events {
		if event.Test == "" {
			if event.Action == "output" {
				other.WriteString(event.Output)
			}
			continue
		}
		at, known := place[event.Test]
		if !known {
			at = len(tests)
			place[event.Test] = at
			tests = append(tests, TestResult{Name: event.Test, Outcome: Unfinished})
		}
		switch event.Action {
		case "output":
			tests[at].Output += event.Output
		case "pass", "fail", "skip":
			tests[at].Outcome = Outcome(event.Action)
			tests[at].Elapsed = time.Duration(event.Elapsed * float64(time.Second))
		}
	}
	for _, name := range expected {
		if _, known := place[name]; !known {
			tests = append(tests, TestResult{Name: name, Outcome: Missing})
		}
	}
	return tests, other.String()
}
