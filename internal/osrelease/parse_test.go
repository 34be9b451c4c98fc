package osrelease

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseFlatcar(t *testing.T) {
	const text = `NAME="Flatcar Container Linux by Kinvolk"
ID=flatcar
ID_LIKE=coreos
VERSION=4593.0.0
VERSION_ID=4593.0.0

# a comment
PRETTY_NAME="Flatcar \"Oklo\" \$5 \n"
EMPTY=
QUOTED=''
`
	want := Fields{
		"NAME": "Flatcar Container Linux by Kinvolk", "ID": "flatcar", "ID_LIKE": "coreos", "VERSION": "4593.0.0",
		"VERSION_ID": "4593.0.0", "PRETTY_NAME": `Flatcar "Oklo" $5 \n`, "EMPTY": "", "QUOTED": "",
	}
	if got := Parse([]byte(text)); !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Each of these was confirmed with systemd 262 by what it merged.
func TestParseValues(t *testing.T) {
	for text, want := range map[string]string{
		"K=debian":            "debian",
		"K=debian\n":          "debian",
		"K=debian\r\n":        "debian",
		" K=debian":           "debian",
		"K =debian":           "debian",
		"K= debian \t":        "debian",
		"K=a b":               "a b",
		"K=a # b":             "a # b",
		`K="a"`:               "a",
		`K='a'`:               "a",
		`K="a b "`:            "a b ",
		`K='$a\'`:             `$a\`,
		`K="a"'b'`:            "ab",
		`K="a" 'b'`:           "ab",
		`K="a" # c`:           "a# c",
		`K="a`:                "a",
		"K=\"a\\":             "a",
		`K='a`:                "a",
		`K=a"`:                `a"`,
		`K=a"b"`:              `a"b"`,
		`K="a"b"`:             `ab"`,
		`K=\a`:                "a",
		`K=a\b`:               "ab",
		`K=a\\b`:              `a\b`,
		`K=a\`:                "a",
		"K=a\\\nb":            "ab",
		"K=a \\\nb":           "a b",
		"K=a\\ ":              "a ",
		"K=\"a\\\nb\"":        "ab",
		"K=\"a\nb\"":          "a\nb",
		"K='a\nb'":            "a\nb",
		"K='a\nL=x'":          "a\nL=x",
		`K="\a"`:              `\a`,
		"K=\"\\`\\$\\\\\"":    "`$\\",
		"K=a\nK=b":            "b",
		"K=a\nK=":             "",
		"K==a":                "=a",
		"#K=x\nK=a":           "a",
		";K=x\nK=a":           "a",
		"# x\\\nK=a":          "a",
		"#\xff\nK=a":          "a",
		"\xff\nK=a":           "a",
		"garbage\nK=a":        "a",
		"=x\nK=a":             "a",
		"A B=x\nK=a":          "a",
		"1A=x\nÄ=x\n-=x\nK=a": "a",
		"K=ä":                 "ä",
	} {
		fields := Parse([]byte(text))
		if got, ok := fields["K"]; !ok || got != want {
			t.Errorf("Parse(%q) gives K=%q, %v; want %q", text, got, ok, want)
		}
		if len(fields) != 1 {
			t.Errorf("Parse(%q) gives %d fields: %q", text, len(fields), fields)
		}
	}
}

func TestParseNames(t *testing.T) {
	fields := Parse([]byte("K0=a\nK9=b\n_=c\nlower=d\n0K=e\nK-=f\n\u00c4=g\nK:=h\nK/=i\n"))
	if want := (Fields{"K0": "a", "K9": "b", "_": "c", "lower": "d"}); !maps.Equal(fields, want) {
		t.Errorf("got %q, want %q", fields, want)
	}
}

func TestParseNothing(t *testing.T) {
	for _, text := range []string{"", "\n", "K", "K\n=a", "#K=a", "# K=a", "  ;K=a", "export K=a", "K x=a"} {
		if fields := Parse([]byte(text)); fields == nil || len(fields) != 0 {
			t.Errorf("Parse(%q) = %#v, want an empty map", text, fields)
		}
	}
}

// To systemd these are no release files, whatever else they say.
func TestParseRefusesWhatIsNoText(t *testing.T) {
	for _, text := range []string{"ID=a\nX=\xff", "X=\xff\nID=a", "\xff=1\nID=a", "ID=a\n#\x00", "ID=a\x00", "\x00ID=a"} {
		if fields := Parse([]byte(text)); fields != nil {
			t.Errorf("Parse(%q) = %q, want nil", text, fields)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"ID=a\nVERSION_ID=\"1\"\n", "K='a\n", "K=\"\\", "#\\", "K=a\\\r\n =x", "\xff=\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		total := 0
		fields := Parse(text)
		for key, value := range fields {
			total += len(key) + len(value)
			if !isName(key) || !utf8.ValidString(value) || strings.Contains(value, "\x00") {
				t.Errorf("field %q=%q", key, value)
			}
		}
		if total > len(text) {
			t.Errorf("%d bytes of fields from %d bytes of text", total, len(text))
		}
		decision := Match(ClassSysext, Host{Fields: fields, Architecture: "x86-64"}, fields)
		if decision.Reason == "" || len(decision.Reason) > 400 || strings.ContainsFunc(decision.Reason, func(r rune) bool { return r < ' ' }) {
			t.Errorf("reason %q", decision.Reason)
		}
	})
}
