package inifile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const example = "\ufeff# a comment\n" +
	"\n" +
	"[ConfExt]\r\n" +
	"Mutable=auto\n" +
	" ImagePolicy = root=signed+absent \t\n" +
	"; another one\n" +
	"\t# indented comment\n" +
	"Empty=\n" +
	"mutable=other key\n" +
	"[Second Section]\n" +
	"List=a b \\\n" +
	"# inside\n" +
	"   c\\\n" +
	"d\n" +
	"[ConfExt]\n" +
	"Mutable=no # no comment\n" +
	"Quoted=\"x y\"\n" +
	"Path=C:\\\\\n" +
	"[Third]\n" +
	"Last=1\\"

func TestParse(t *testing.T) {
	file, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ section, key, want string }{
		{"ConfExt", "Mutable", "no # no comment"},
		{"ConfExt", "ImagePolicy", "root=signed+absent"},
		{"ConfExt", "Empty", ""},
		{"ConfExt", "mutable", "other key"},
		{"ConfExt", "Quoted", `"x y"`},
		{"ConfExt", "Path", `C:\\`},
		{"Second Section", "List", "a b  c d"},
		{"Third", "Last", "1"},
	} {
		if got, ok := file.Last(test.section, test.key); !ok || got != test.want {
			t.Errorf("Last(%q, %q) = %q, %v; want %q", test.section, test.key, got, ok, test.want)
		}
	}
	for _, test := range [][2]string{{"confext", "Mutable"}, {"", "Mutable"}, {"Third", "Mutable"}, {"ConfExt", "MUTABLE"}} {
		if got, ok := file.Last(test[0], test[1]); ok || got != "" {
			t.Errorf("Last(%q, %q) = %q, want none", test[0], test[1], got)
		}
	}
	if got, want := file.All("ConfExt", "Mutable"), []string{"auto", "no # no comment"}; !slices.Equal(got, want) {
		t.Errorf("All = %q, want %q", got, want)
	}
	if got := file.All("ConfExt", "List"); got != nil {
		t.Errorf("All of a key in another section = %q", got)
	}
	if got, want := file.Sections(), []string{"ConfExt", "Second Section", "Third"}; !slices.Equal(got, want) {
		t.Errorf("Sections = %q, want %q", got, want)
	}
	if got, want := file.Keys("ConfExt"), []string{"Mutable", "ImagePolicy", "Empty", "mutable", "Quoted", "Path"}; !slices.Equal(got, want) {
		t.Errorf("Keys = %q, want %q", got, want)
	}
	if got := file.Keys("None"); got != nil {
		t.Errorf("Keys of no section = %q", got)
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# x", "\ufeff", " \t\r\n", "\\\n\\\n", ";\\\n"} {
		file, err := Parse([]byte(text))
		if err != nil || len(file.Sections()) != 0 {
			t.Errorf("%q: sections %q, %v", text, file.Sections(), err)
		}
	}
	if _, ok := (&File{}).Last("a", "b"); ok {
		t.Error("the zero File has a value")
	}
}

func TestBadLines(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		line int
		want string
	}{
		"no equals":          {"[A]\nBroken\nGood=1\n", 2, `no '=' in "Broken"`},
		"no key":             {"[A]\n = x\nGood=1", 2, "no key before '='"},
		"no section":         {"x=1\n[A]\nGood=1", 1, `"x" before any [section]`},
		"open header":        {"[B\nGood=2\n[A]\nGood=1", 1, `bad section header "[B"`},
		"text after header":  {"[B] x\nGood=2\n[A]\nGood=1", 1, `bad section header "[B] x"`},
		"empty header":       {"[]\nGood=2\n[A]\nGood=1", 1, `bad section header "[]"`},
		"escape in header":   {"[\x1b]\n[A]\nGood=1", 1, `bad section header "[\x1b]"`},
		"not UTF-8":          {"[A]\nGood=1\nx=\xff", 3, "not text in UTF-8"},
		"NUL alone":          {"[A]\nGood=1\n\x00", 3, "not text in UTF-8"},
		"NUL":                {"[A]\nGood=1\nx=\x00", 3, "not text in UTF-8"},
		"continued":          {"[A]\n\nfoo\\\n\\\nbar\nGood=1", 3, `no '=' in "foo`},
		"too long":           {"[A]\nx=" + strings.Repeat("y", maxLine) + "\nGood=1", 2, "longer than 1048576 bytes"},
		"too long together":  {"[A]\n#\nx=\\\n" + strings.Repeat(strings.Repeat("y", 1<<16)+"\\\n", 17) + "\nGood=1", 3, "longer than 1048576"},
		"long and no equals": {"[A]\nGood=1\n" + strings.Repeat("\x1b", 1000), 3, `no '=' in "\x1b`},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := Parse([]byte(test.text))
			var bad *LineError
			if !errors.As(err, &bad) {
				t.Fatalf("error is %v, want a LineError", err)
			}
			if bad.Line != test.line || !strings.Contains(bad.Problem, test.want) {
				t.Errorf("line %d: %s; want line %d, %q", bad.Line, bad.Problem, test.line, test.want)
			}
			if !strings.HasPrefix(err.Error(), fmt.Sprintf("line %d: ", test.line)) || len(err.Error()) > 250 {
				t.Errorf("message %q", err)
			}
			if strings.Contains(err.Error(), "\n") { // the keys behind a bad header are no errors of their own
				t.Errorf("more than one error: %v", err)
			}
			if got, ok := file.Last("A", "Good"); !ok || got != "1" {
				t.Errorf("the good line is lost: %q, %v", got, ok)
			}
			if _, ok := file.Last("B", "Good"); ok {
				t.Error("a key behind a bad header counts")
			}
		})
	}
}

func TestLongestLineIsFine(t *testing.T) {
	file, err := Parse([]byte("[A]\nx=" + strings.Repeat("y", maxLine-2)))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := file.Last("A", "x"); len(got) != maxLine-2 {
		t.Errorf("value of %d bytes", len(got))
	}
}

func TestErrorsAreCollectedAndBounded(t *testing.T) {
	_, err := Parse([]byte("[A]\nbad\nx=1\nworse\n"))
	if want := "line 2: no '=' in \"bad\"\nline 4: no '=' in \"worse\""; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	_, err = Parse([]byte(strings.Repeat("bad\n", 100000)))
	if err == nil || strings.Count(err.Error(), "\n") != maxErrors || !strings.HasSuffix(err.Error(), "and 99990 more lines") {
		t.Errorf("error of 100000 bad lines: %v", err)
	}
}

// A file of tiny continued lines must not take quadratic time.
func TestManyContinuations(t *testing.T) {
	file, err := Parse([]byte("[A]\nx=" + strings.Repeat("\\\n", 500000) + "end\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := file.Last("A", "x"); strings.TrimSpace(got) != "end" {
		t.Errorf("value of %d bytes", len(got))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("[A]\nbad\n=x\n[\n\\"))
	f.Add([]byte("\\\r\n#\\\n[x]\ny=\\\\\\\n\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, _ := Parse(text)
		sections := file.Sections()
		total := 0
		for _, section := range sections {
			if section == "" || strings.ContainsAny(section, "\n\x00") {
				t.Errorf("section %q", section)
			}
			for _, key := range file.Keys(section) {
				all := file.All(section, key)
				last, ok := file.Last(section, key)
				if !ok || len(all) == 0 || all[len(all)-1] != last {
					t.Errorf("[%s] %s: all %q, last %q, %v", section, key, all, last, ok)
				}
				total += len(all)
				if strings.ContainsAny(key, "=\n\x00") || key != strings.Trim(key, " \t\r") {
					t.Errorf("key %q", key)
				}
			}
		}
		if total != len(file.assignments) {
			t.Errorf("%d values of %d are found", total, len(file.assignments))
		}
	})
}
