package egrep

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// texts are the candidates of TestAgainstFind, as file names.
var texts = []string{"a", "b", "ab", "abb", "abc", "aab", "a b", "a\nb", "ä", "äb", "a.b", "a+b", "a*b", "a{b", "a{1", "(a)", "A1_", "-x", "[x]", "]", "^a", "a$b", "a\\b", "x-y", "b}"}

var expressions = []string{
	"a", "a.b", "a*b", "a+b", "a?b", "a{2}b", "a{1,}b", "a{,2}b", "a{0,1}b", "a{b", "a{1", "(a|b)+", "(ab|a)(b|c)?", "a|b", "a\nb", "a||b", "(a|)b",
	"[ab]+", "[^a]+", "[]]", "[]x[]+", "[a-c]+", "[a-]b", "[-x]+", "[[:alpha:]]+", "[[:digit:][:upper:]_]+", "[[.a.]]b", "[[=a=]]b", `a\.b`, `a\+b`, `a\*b`, `a\{b`,
	`\(a\)`, `\[x\]`, `\^a`, `a\$b`, `a\\b`, `[\]`, `a[\]b`, "^ab$", "a^b", "a$b", "^(a|b)$", ".*", "..", "(a*)*b", "(a*b*)+", "(a{1,2}){2}b", "x\\-y", "()a", "a**b", "a+*b", "[[:space:]a]*b", `\w+`, `\W`, `\sb|a\sb`, "b}",
}

// TestAgainstFind asks GNU find about every expression and every text.
func TestAgainstFind(t *testing.T) {
	dir := t.TempDir()
	for _, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, text), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, expression := range expressions {
		command := exec.Command("find", ".", "-mindepth", "1", "-regextype", "egrep", "-regex", "\\./("+expression+")", "-printf", `%f\0`)
		command.Dir, command.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
		output, err := command.Output()
		if err != nil {
			t.Fatalf("find %q: %v", expression, err)
		}
		e, err := Compile(expression)
		if err != nil {
			t.Errorf("%q: %v", expression, err)
			continue
		}
		// "^" and "$" inside the parentheses of the call cannot be asked for with a prefix.
		if strings.ContainsAny(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(expression, `\^`, ""), `\$`, ""), "[^", ""), "^$") {
			continue
		}
		found := "\x00" + string(output)
		for _, text := range texts {
			want := strings.Contains(found, "\x00"+text+"\x00")
			// Of a class of characters we say more than one locale does: what matches is kept.
			doubtful := !want && strings.Contains(text, "ä") && strings.ContainsAny(expression, `:\`)
			if got := e.Match(text); got != want && !doubtful {
				t.Errorf("%q with %q: %v, find says %v", expression, text, got, want)
			}
		}
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		expression, text string
		want             bool
	}{
		{"/etc/ssh|/etc/ssh/.*", "/etc/ssh/ssh_config", true},
		{"/etc/ssh|/etc/ssh/.*", "/etc/sshd", false},
		{"/etc/ssh|/etc/ssh/.*", "/var/etc/ssh", false},
		{"^/a$|^/b$", "/b", true},
		{"^/a$", "/ab", false},
		{"/a^b", "/a^b", false},
		{"", "", true},
		{"", "/", false},
		{"/a.", "/a\xff", true}, // a stray byte is a character
		{"/a\xff", "/a\xff", true},
		{"/a\xff", "/aÿ", false},
		{"/n[aä]", "/nä", true},
		{"/.", "/ä", true},
		{"/[[:upper:]]", "/ä", true}, // in doubt it is kept
		{"/[^[:alpha:]]", "/ä", true},
		{"/[^[:alpha:]]", "/a", false},
		{"/(a|b){3}", "/aba", true},
		{"/(a|b){3}", "/ab", false},
	} {
		e, err := Compile(test.expression)
		if err != nil {
			t.Errorf("%q: %v", test.expression, err)
			continue
		}
		for range 2 { // nothing is left of the first run
			if got := e.Match(test.text); got != test.want {
				t.Errorf("%q with %q: %v", test.expression, test.text, got)
			}
		}
	}
}

func TestBadExpressions(t *testing.T) {
	for expression, want := range map[string]string{
		"(a": "without ')'", "a)": "without '('", "[a": "without ']'", "[]": "without ']'", "[[:foo:]]": "no class", "[[:alpha": "missing", "a\\": "backslash at the end",
		"*a": "nothing to repeat", "a|*b": "nothing to repeat", "(+)": "nothing to repeat", "{": "", `(a)\1`: "not supported", `\bfoo`: "not supported", `\<a`: "not supported",
		"a{2,1}": "bad numbers", "a{99999}": "bad numbers", "a{}": "bad numbers", "{2}": "nothing to repeat", "[b-a]": "ends before", "[a-[:digit:]]": "cannot end a range", "[[.ab.]]": "not one character",
		"((a{1000}){1000}){1000}": "states", strings.Repeat("(", 1000): "parentheses", strings.Repeat("a", maxText+1): "longer", "a\x00": "zero byte",
	} {
		_, err := Compile(expression)
		if want == "" {
			if err != nil {
				t.Errorf("%.40q: %v", expression, err)
			}
			continue
		}
		var bad *Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", expression, err, want)
		}
	}
}

// An expression over which programs that try one way after the other never end.
func TestNoBacktracking(t *testing.T) {
	e, err := Compile("(a*)*(a*)*(a|aa)+b")
	if err != nil {
		t.Fatal(err)
	}
	if e.Match(strings.Repeat("a", 20000)) {
		t.Error("it matches")
	}
}

func FuzzCompile(f *testing.F) {
	for _, expression := range expressions {
		f.Add(expression, "a.b")
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		e, err := Compile(expression)
		if err != nil {
			return
		}
		if len(text) > 1000 {
			text = text[:1000]
		}
		if first := e.Match(text); e.Match(text) != first {
			t.Errorf("%q with %q: two answers", expression, text)
		}
		// A choice matches what one of its parts does.
		if both, err := Compile("(" + expression + ")|x"); err == nil && (!both.Match("x") || (e.Match(text) && !both.Match(text))) {
			t.Errorf("%q with %q: no match as one of two", expression, text)
		}
	})
}
