package kernelcmdline

import (
	"slices"
	"strings"
	"testing"
)

func word(key string) Word            { return Word{Key: key} }
func keyValue(key, value string) Word { return Word{Key: key, Value: value, HasValue: true} }

func TestParseSplitsWords(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []Word
	}{
		"empty":            {"", nil},
		"only space":       {" \t\n", nil},
		"a real one":       {"root=PARTUUID=1619e9be-a664 rw usrhash=b62d\n", []Word{keyValue("root", "PARTUUID=1619e9be-a664"), word("rw"), keyValue("usrhash", "b62d")}},
		"many spaces":      {"  a \t b\r\nc\v\fd ", []Word{word("a"), word("b"), word("c"), word("d")}},
		"empty value":      {"init= quiet", []Word{keyValue("init", ""), word("quiet")}},
		"quoted value":     {`a="b c" d`, []Word{keyValue("a", "b c"), word("d")}},
		"quoted word":      {`"a=b c" d`, []Word{keyValue("a", "b c"), word("d")}},
		"quoted flag":      {`"a b" c`, []Word{word("a b"), word("c")}},
		"quotes inside":    {`rootflags=x="b c",y`, []Word{keyValue("rootflags", `x="b c",y`)}},
		"quote in key":     {`a"b c"d=e`, []Word{keyValue(`a"b c"d`, "e")}},
		"not closed":       {`a="b c -- d`, []Word{keyValue("a", "b c -- d")}},
		"closed too often": {`a" b`, []Word{word(`a" b`)}},
		"quote at the end": {`a"b"`, []Word{word(`a"b"`)}},
		"word not closed":  {`"a=b c`, []Word{keyValue("a", "b c")}},
		"lone quote":       {`a="`, []Word{keyValue("a", "")}},
		"empty quotes":     {`a="" b`, []Word{keyValue("a", ""), word("b")}},
		"empty word":       {`"" b`, []Word{word(""), word("b")}},
		"one quote":        {`"`, []Word{word("")}},
		"single quotes":    {`a='b c'`, []Word{keyValue("a", "'b"), word("c'")}},
		"backslash":        {`a="b\"c"`, []Word{keyValue("a", `b\"c`)}},
		"equals first":     {"=a =b=c", []Word{word("=a"), keyValue("=b", "c")}},
		"more equals":      {"a=b=c", []Word{keyValue("a", "b=c")}},
		"value ends quote": {`a=b"`, []Word{keyValue("a", `b"`)}},
		"both quoted":      {`"a="b" c" d`, []Word{keyValue("a", `b" c`), word("d")}},
		"letter with 0xa0": {"a=PARTLABEL=\u00e0x b", []Word{keyValue("a", "PARTLABEL=\u00e0x"), word("b")}},
		"dashes in a word": {"a-- --b", []Word{word("a--"), word("--b")}},
		"dashes as key":    {"--=x y", []Word{keyValue("--", "x"), word("y")}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Parse(test.text).Words(); !slices.Equal(got, test.want) {
				t.Errorf("Parse(%q).Words() = %q, want %q", test.text, got, test.want)
			}
		})
	}
}

func TestDashesEndTheKernelsPart(t *testing.T) {
	for text, want := range map[string][]string{
		"root=x":                            nil,
		"root=x --":                         nil,
		`root=x -- single a="b c" "d e" f=`: {"single", "a=b c", "d e", "f="},
		"root=x -- a -- root=y":             {"a", "--", "root=y"},
		`root=x "--" a`:                     {"a"},
	} {
		line := Parse(text)
		if got := line.InitArguments(); !slices.Equal(got, want) {
			t.Errorf("Parse(%q).InitArguments() = %q, want %q", text, got, want)
		}
		if root, _ := line.Value("root"); root != "x" {
			t.Errorf("Parse(%q).Value(root) = %q: a word behind -- counts", text, root)
		}
	}
}

func TestValueLastOccurrenceWins(t *testing.T) {
	line := Parse("root=a mount.usr=b root=c quiet systemd.verity_usr_data=d systemd.verity-usr-data=e init= root")
	for _, test := range []struct {
		key, want string
		found     bool
	}{
		{"root", "c", true}, // not undone by the bare word
		{"mount.usr", "b", true},
		{"systemd.verity_usr_data", "e", true},
		{"systemd.verity-usr_data", "e", true},
		{"init", "", true},
		{"quiet", "", false},
		{"roo", "", false},
		{"ROOT", "", false},
		{"", "", false},
	} {
		got, found := line.Value(test.key)
		if got != test.want || found != test.found {
			t.Errorf("Value(%q) = %q, %v; want %q, %v", test.key, got, found, test.want, test.found)
		}
	}
}

func TestHas(t *testing.T) {
	line := Parse("rd.break=pre-mount debug_shell -- hidden")
	for key, want := range map[string]bool{
		"rd.break": true, "debug-shell": true, "hidden": false, "rd_break": false, "debug": false,
	} {
		if got := line.Has(key); got != want {
			t.Errorf("Has(%q) = %v, want %v", key, got, want)
		}
	}
}

func TestBool(t *testing.T) {
	for text, want := range map[string]bool{
		"x": true, "x=1": true, "x=yes": true, "x=Y": true, "x=true": true, "x=t": true, "x=ON": true,
		"x=0": false, "x=no": false, "x=n": false, "x=False": false, "x=f": false, "x=off": false,
		"x=0 x": true, "x x=0": false, "x=maybe x=no": false, `x="off"`: false,
	} {
		for _, absent := range []bool{false, true} {
			if got, err := Parse(text).Bool("x", absent); err != nil || got != want {
				t.Errorf("Bool of %q = %v, %v; want %v", text, got, err, want)
			}
		}
	}
	for _, absent := range []bool{false, true} {
		if got, err := Parse("y=1 xx=1").Bool("x", absent); err != nil || got != absent {
			t.Errorf("Bool of an absent key = %v, %v; want %v", got, err, absent)
		}
	}
}

func TestBoolNamesTheBadWord(t *testing.T) {
	for _, text := range []string{"rd.shell=maybe", "rd.shell=", "rd.shell=2", "rd.shell=no rd.shell=nope"} {
		got, err := Parse(text).Bool("rd.shell", true)
		if err == nil {
			t.Errorf("Bool of %q gives no error", text)
			continue
		}
		if !got {
			t.Errorf("Bool of %q = false beside the error, want the default", text)
		}
		fields := strings.Fields(text)
		if last := fields[len(fields)-1]; !strings.Contains(err.Error(), last) {
			t.Errorf("error %q does not name %q", err, last)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", `root=PARTUUID=1 rw -- a "b c"`, `"a="b" c" d`, `=a "" "`, "a='b c'", "\x00\xa0=\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := Parse(text)
		total := 0
		for _, word := range line.Words() {
			total += len(word.String())
			if !word.HasValue && word.Value != "" {
				t.Errorf("word %q has a value and says it has none", word)
			}
			if !line.Has(word.Key) {
				t.Errorf("Has(%q) = false", word.Key)
			}
			if _, ok := line.Value(word.Key); word.HasValue && !ok {
				t.Errorf("Value(%q) not found", word.Key)
			}
			_, _ = line.Bool(word.Key, false)
		}
		for _, argument := range line.InitArguments() {
			total += len(argument)
		}
		if total > len(text) {
			t.Errorf("%d bytes of words from %d bytes of text", total, len(text))
		}
	})
}

func TestWith(t *testing.T) {
	line := Parse("root=a quiet -- x").With(Parse("root=b rd.timeout=3 -- y"))
	if value, _ := line.Value("root"); value != "b" || !line.Has("quiet") || !line.Has("rd.timeout") || len(line.Words()) != 4 {
		t.Errorf("%+v", line)
	}
	if got := line.InitArguments(); len(got) != 2 || got[0] != "x" || got[1] != "y" {
		t.Errorf("%q", got)
	}
}
