package scenario

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// source is what a package's files say.
type source struct {
	functions map[string]bool
	literals  map[string]bool
}

// readSource reads all Go files of a folder whose names end so.
func readSource(t *testing.T, folder, suffix string) source {
	t.Helper()
	s := source{functions: map[string]bool{}, literals: map[string]bool{vmtest.Forky: true, vmtest.Trixie: true}}
	files, err := filepath.Glob(filepath.Join(folder, "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no files %s: %v", folder, suffix, err)
	}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.FuncDecl:
				s.functions[n.Name.Name] = true
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					s.literals[text] = true
				}
			}
			return true
		})
	}
	return s
}

// hasParts reports whether the source has a text, or texts that make it up with slashes between them: the names of subtests.
func (s source) hasParts(name string) bool {
	if s.literals[name] {
		return true
	}
	for i := range len(name) {
		if name[i] == '/' && s.literals[name[:i]] && s.hasParts(name[i+1:]) {
			return true
		}
	}
	return false
}

// TestEveryNamedTestExists: the table names no test, and no part of one, that the project has not.
func TestEveryNamedTestExists(t *testing.T) {
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]source{}
	for _, row := range Table {
		for _, shown := range row.Shown {
			n, err := ParseTestName(shown)
			if err != nil {
				t.Errorf("%s: %v", row.ID, err)
				continue
			}
			suffix := map[bool]string{true: "_guest_test.go", false: "_test.go"}[n.Kind == "guest"]
			key := n.Package + suffix
			if _, known := sources[key]; !known {
				sources[key] = readSource(t, filepath.Join(repository, n.Package), suffix)
			}
			if !sources[key].functions[n.Function] || n.Part != "" && !sources[key].hasParts(n.Part) {
				t.Errorf("%s: there is no test %q", row.ID, shown)
			}
		}
	}
}

func TestTableIsComplete(t *testing.T) {
	var ids []string
	for _, row := range Table {
		ids = append(ids, row.ID)
		if row.What == "" || len(row.Shown) == 0 && row.Missing == "" {
			t.Errorf("%s: %+v", row.ID, row)
		}
	}
	want := []string{"E31b"}
	for prefix, count := range map[string]int{"V": 12, "E": 35, "O": 5, "S": 8, "H": 13} {
		for i := range count {
			want = append(want, prefix+strconv.Itoa(i+1))
		}
	}
	for _, id := range want {
		if count := len(ids) - len(slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })); count != 1 {
			t.Errorf("%s is there %d times", id, count)
		}
	}
}

// TestDocumentIsOfThisTable: docs/scenarios.md has the rows of the table; a run writes it again.
func TestDocumentIsOfThisTable(t *testing.T) {
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(repository, "docs/scenarios.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range Table {
		if strings.Count(string(text), "\n"+row.fixed()) != 1 {
			t.Errorf("%s is not in docs/scenarios.md as it is in the table; make scenarios writes it", row.ID)
		}
	}
}

func TestResultOfARow(t *testing.T) {
	row := Row{ID: "X", Shown: []string{"unit a TestA", "unit a TestB"}}
	passed, failed := Outcome{Passed: true, Took: time.Second}, Outcome{}
	for want, outcomes := range map[string]map[string]Outcome{
		"shown":   {"unit a TestA": passed, "unit a TestB": passed},
		"FAILED":  {"unit a TestA": passed, "unit a TestB": failed},
		"not run": {"unit a TestA": passed},
	} {
		if got, _ := row.Result(outcomes); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	row.Missing = "something"
	if got, took := row.Result(map[string]Outcome{"unit a TestA": passed, "unit a TestB": passed}); got != "partly" || took != 2*time.Second {
		t.Error(got, took)
	}
	if got, _ := (Row{Missing: "all"}).Result(nil); got != "not shown" {
		t.Error(got)
	}
}

func TestUpdateOfADocument(t *testing.T) {
	outcomes := map[string]Outcome{}
	for _, row := range Table {
		for _, test := range row.Shown {
			outcomes[test] = Outcome{Passed: row.ID != "V2"}
		}
	}
	whole := Document("Run once.", outcomes)
	row := Table[slices.IndexFunc(Table, func(r Row) bool { return r.ID == "V2" })]
	for _, test := range row.Shown {
		outcomes[test] = Outcome{Passed: true, Took: 7 * time.Second}
	}
	got, err := UpdateDocument(whole, "Again: V2.", []Row{row}, outcomes)
	if want := Document("Run once. Again: V2.", outcomes); err != nil || got != want || got == whole {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := UpdateDocument(strings.Replace(whole, row.fixed(), "", 1), "", nil, nil); err == nil {
		t.Error("a document without a row was updated")
	}
}
