package rescue

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// newCompletion completes in a directory with some files.
func newCompletion(t testing.TB) completion {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sub/", "sub/one", "sub/other", "plain", "with blank", "~default", ".hidden", "bad\x1bname", "ümlaut", "ünder"} {
		at := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.Mkdir(at, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(at, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return completion{
		commands: func() []string { return []string{"report", "resume", "reboot", "verity", "veritysetup", "why"} },
		dir:      func() string { return dir },
	}
}

func TestComplete(t *testing.T) {
	c := newCompletion(t)
	for _, test := range []struct {
		line    string // "|" is the cursor
		want    string
		choices string
	}{
		{"w|", "why |", ""},
		{"re|", "re|", "reboot report resume"},
		{"rep| x", "report| x", ""},
		{"ver|", "verity|", ""},
		{"verity|", "verity|", "verity veritysetup"},
		{"help repo|", "help report |", ""},
		{"if rep|", "if report |", ""},
		{"A=1 rep|", "A=1 report |", ""},
		{"x; rep|", "x; report |", ""},
		{"x | rep|", "x | report |", ""},
		{"x $(rep|", "x $(report |", ""},
		{"cat pl|", "cat plain |", ""},
		{"cat <pl|", "cat <plain |", ""},
		{"<pl|", "<plain |", ""},
		{"cat su|", "cat sub/|", ""},
		{"cat sub/o|", "cat sub/o|", "sub/one sub/other"},
		{"cat sub/on|", "cat sub/one |", ""},
		{"./pl|", "./plain |", ""},
		{"cat wi|", `cat with\ blank |`, ""},
		{`cat with\ b|`, `cat with\ blank |`, ""},
		{`cat \~|`, `cat \~default |`, ""},
		{"cat .h|", "cat .hidden |", ""},
		{"cat bad|", "cat bad|", ""},
		{"cat ü|", "cat ü|", "ümlaut ünder"},
		{"cat üm|", "cat ümlaut |", ""},
		{"cat nothing|", "cat nothing|", ""},
		{"cat 'pl|", "cat 'pl|", ""},
		{`cat pl\|`, `cat pl\|`, ""},
		{"zzz|", "zzz|", ""},
		{"cat nowhere/x|", "cat nowhere/x|", ""},
		{"echo plain | cat pl|", "echo plain | cat plain |", ""},
	} {
		at := strings.LastIndex(test.line, "|")
		line, at, choices := c.complete(test.line[:at]+test.line[at+1:], at)
		if got := line[:at] + "|" + line[at:]; got != test.want || strings.Join(choices, " ") != test.choices {
			t.Errorf("%s: %s, %q; want %s, %s", test.line, got, choices, test.want, test.choices)
		}
	}
}

func TestTheShellKnowsItsCommands(t *testing.T) {
	s, _ := newTestShell(t)
	s.runText("f_of_mine() { :; }", "sh")
	names := s.commandNames()
	for _, want := range []string{"report", "verity", "why", "resume", "help", "cd", "reboot", "f_of_mine"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in %q", want, names)
		}
	}
	if found := programs("/nowhere::" + filepath.Dir(os.Args[0])); !slices.Contains(found, filepath.Base(os.Args[0])) {
		t.Errorf("%q", found)
	}
}

func TestListChoices(t *testing.T) {
	if got := listChoices([]string{"sub/one", "sub/other", "sub/dir/"}); got != "one    other  dir/\n" {
		t.Errorf("%q", got)
	}
	var many []string
	for range 500 {
		many = append(many, "/a/name-of-some-length")
	}
	text := listChoices(many)
	if rows := strings.Count(text, "\n"); rows != mostRows+1 || !strings.HasSuffix(text, "more\n") {
		t.Errorf("%d rows:\n%s", rows, text)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 79 {
			t.Errorf("%d columns", len(line))
		}
	}
}

func FuzzComplete(f *testing.F) {
	f.Add("cat 'a b' | gr", 14)
	f.Add(`x=\ \`, 5)
	f.Add("cat su", 6)
	c := newCompletion(f)
	f.Fuzz(func(t *testing.T, line string, at int) {
		if at < 0 || at > len(line) || !utf8.ValidString(line) || !utf8.ValidString(line[:at]) || strings.Contains(line, "/") {
			return
		}
		completed, place, _ := c.complete(line, at)
		if place < at || place > len(completed) || !strings.HasPrefix(completed, line[:at]) || completed[place:] != line[at:] {
			t.Errorf("%q at %d: %q at %d", line, at, completed, place)
		}
	})
}
