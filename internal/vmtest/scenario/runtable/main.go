// Command runtable runs the tests that the table of scenarios names, and writes docs/scenarios.md.
//
//	runtable           all of them
//	runtable ID...     those of some rows; the table goes to standard output
//	runtable --update ID...
//	                   the same, into docs/scenarios.md, which keeps the others of the run before
//	runtable --none    none of them: the table says "not run"
//
// The exit status is 1 if a test failed or did not run.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
	"github.com/preroot/preroot/internal/vmtest/scenario"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ids []string) error {
	repository, err := vmtest.FindRepository()
	if err != nil {
		return err
	}
	document := filepath.Join(repository, "docs/scenarios.md")
	if slices.Equal(ids, []string{"--none"}) {
		return os.WriteFile(document, []byte(scenario.Document("Not run yet.", nil)), 0o644)
	}
	rows := scenario.Table
	update := len(ids) > 1 && ids[0] == "--update"
	if update {
		ids = ids[1:]
	}
	if len(ids) > 0 {
		rows = slices.DeleteFunc(slices.Clone(rows), func(row scenario.Row) bool { return !slices.Contains(ids, row.ID) })
		if len(rows) == 0 {
			return fmt.Errorf("the table has none of %q", ids)
		}
	}
	begun := time.Now()
	r := runner{repository: repository, outcomes: map[string]scenario.Outcome{}}
	for _, g := range groupTests(rows) {
		if err := r.run(g); err != nil {
			return err
		}
	}
	switch {
	case update:
		if err := r.update(document, rows); err != nil {
			return err
		}
	case len(ids) > 0:
		for _, row := range rows {
			fmt.Print(row.Line(r.outcomes))
		}
	default:
		about := fmt.Sprintf("Run at commit %s on %s, in %.0f minutes (%s, %d processors).", commit(repository), begun.UTC().Format("2 January 2006"),
			time.Since(begun).Minutes(), os.Getenv(vmtest.AcceleratorVariable), runtime.NumCPU())
		if err := os.WriteFile(document, []byte(scenario.Document(about, r.outcomes)), 0o644); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if word, _ := row.Result(r.outcomes); word == "FAILED" || word == "not run" {
			return fmt.Errorf("scenario %s: %s", row.ID, word)
		}
	}
	fmt.Fprintf(os.Stderr, "==> scenarios: all passed in %.0f s\n", time.Since(begun).Seconds())
	return nil
}

// update puts the results of rows into the document.
func (r *runner) update(document string, rows []scenario.Row) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	about := fmt.Sprintf("Again at commit %s: %s.", commit(r.repository), strings.Join(ids, ", "))
	updated, err := scenario.UpdateDocument(string(text), about, rows, r.outcomes)
	if err != nil {
		return err
	}
	return os.WriteFile(document, []byte(updated), 0o644)
}

// group is what one call of go test runs.
type group struct {
	arguments   []string
	environment []string
	// reported maps the names that go test reports to those of the table.
	reported map[string]string
}

// groupTests sorts the tests of rows into calls: units, then guests, a package each, then all boots.
func groupTests(rows []scenario.Row) []group {
	names := map[string]map[string]scenario.TestName{}
	for _, row := range rows {
		for _, shown := range row.Shown {
			n, err := scenario.ParseTestName(shown)
			if err != nil {
				panic(err) // TestEveryNamedTestExists has read them
			}
			key := n.Kind + " " + n.Package
			if names[key] == nil {
				names[key] = map[string]scenario.TestName{}
			}
			names[key][shown] = n
		}
	}
	order := []string{"unit", "root", "guest", "boot"}
	keys := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		kind := func(key string) int { return slices.Index(order, strings.Fields(key)[0]) }
		return 2*(kind(a)-kind(b)) + strings.Compare(a, b)
	})
	var groups []group
	for _, key := range keys {
		groups = append(groups, newGroup(names[key]))
	}
	return groups
}

func newGroup(names map[string]scenario.TestName) group {
	g := group{reported: map[string]string{}}
	var patterns, functions []string
	var one scenario.TestName
	for _, shown := range slices.Sorted(maps.Keys(names)) {
		one = names[shown]
		g.reported[one.Reported()] = shown
		for list, text := range map[*[]string]string{&patterns: one.Pattern(), &functions: one.Function} {
			if !slices.Contains(*list, text) {
				*list = append(*list, text)
			}
		}
	}
	// Two guests run at a time on two processors (vmtest.Boot); others make their disks meanwhile.
	g.arguments = []string{"test", "-count=1", "-json", "-timeout=60m", "-parallel=4"}
	folder := "./" + one.Package
	switch one.Kind {
	case "root":
		g.arguments = append(g.arguments, "-tags=hostroot")
	case "guest":
		g.arguments, folder = append(g.arguments, "-tags=vm"), "./internal/vmtest/guesttests"
		g.environment = []string{"PREROOT_GUEST_PACKAGE=" + one.Package, "PREROOT_GUEST_TESTS=" + strings.Join(functions, ",")}
		patterns = []string{"^TestGuests$/^" + vmtest.Forky + "$"}
	case "boot":
		g.arguments, g.environment = append(g.arguments, "-tags=vm"), []string{vmtest.LongVariable + "=1"}
	}
	g.arguments = append(g.arguments, "-run="+strings.Join(patterns, "|"), folder)
	return g
}

type runner struct {
	repository string
	outcomes   map[string]scenario.Outcome
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// run runs a group and notes what became of its tests. That go test fails is no error: the outcomes say so.
func (r *runner) run(g group) error {
	fmt.Fprintf(os.Stderr, "==> go %s\n", strings.Join(g.arguments, " "))
	command := exec.Command("go", g.arguments...)
	command.Dir, command.Env, command.Stderr = r.repository, append(os.Environ(), g.environment...), os.Stderr
	pipe, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	ends, failed, err := readEvents(pipe)
	if wait := command.Wait(); wait != nil && len(ends) == 0 {
		return fmt.Errorf("go test: %w\n%s", wait, failed)
	}
	if err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, failed)
	for reported, shown := range g.reported {
		end, found := ends[reported]
		if !found {
			continue
		}
		o := scenario.Outcome{Passed: end.Action == "pass"}
		// What was judged within a boot took no time of its own.
		for name := reported; name != "" && o.Took < 10*time.Millisecond; {
			o.Took = time.Duration(ends[name].Elapsed * float64(time.Second))
			cut := strings.LastIndexByte(name, '/')
			name = name[:max(cut, 0)]
		}
		r.outcomes[shown] = o
	}
	return nil
}

// readEvents returns how each test ended, and the output of what failed.
func readEvents(from io.Reader) (ends map[string]event, failed string, err error) {
	ends, outputs := map[string]event{}, map[string]*strings.Builder{}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	var text strings.Builder
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintf(&text, "%s\n", lines.Bytes())
			continue
		}
		switch e.Action {
		case "build-output":
			text.WriteString(e.Output)
		case "output":
			if outputs[e.Test] == nil {
				outputs[e.Test] = &strings.Builder{}
			}
			outputs[e.Test].WriteString(e.Output)
		case "pass", "fail", "skip":
			ends[e.Test] = e
			if output := outputs[e.Test]; e.Action != "pass" && output != nil {
				text.WriteString(output.String())
			}
			delete(outputs, e.Test)
		}
	}
	return ends, text.String(), lines.Err()
}

func commit(repository string) string {
	command := exec.Command("git", "rev-parse", "--short", "HEAD")
	command.Dir = repository
	text, err := command.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
