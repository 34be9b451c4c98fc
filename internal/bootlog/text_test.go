package bootlog

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWrapLines(t *testing.T) {
	word := strings.Repeat("w", 20)
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"one", []string{"one"}},
		{"  one   two  ", []string{"one two"}},
		{"aaaa bbbb cccc dddd", []string{"aaaa bbbb", "  cccc", "  dddd"}},
		{"aaaa bbbb c d", []string{"aaaa bbbb", "  c d"}},
		// Exactly the width, with and without the indent.
		{"aaaa bbbbb", []string{"aaaa bbbbb"}},
		{"aaaa bbbbbb", []string{"aaaa", "  bbbbbb"}},
		{"a bbbbbbbb", []string{"a bbbbbbbb"}},
		{"aa bbbbbbbb", []string{"aa", "  bbbbbbbb"}},
		{"aa bbbbbbbbb", []string{"aa", "bbbbbbbbb"}},
		{"aa bbbbbbbbbb", []string{"aa", "bbbbbbbbbb"}},
		{"aa " + word + " bb", []string{"aa", word, "  bb"}},
		{word, []string{word}},
		{"one\ntwo", []string{"one", "two"}},
		{"one\n\ntwo\n\n", []string{"one", "", "two"}},
		{"\none", []string{"", "one"}},
		{"\n\n", []string{""}},
	} {
		if got := WrapLines(test.text, 10); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

func FuzzWrapLines(f *testing.F) {
	f.Add("aaaa bbbb cccc dddd\n"+strings.Repeat("w", 60), 55)
	f.Add(" \t\n\u00a0x ", 0)
	f.Add("a b", -1)
	f.Fuzz(func(t *testing.T, text string, width int) {
		lines := WrapLines(text, width)
		var words []string
		for _, line := range lines {
			in := strings.Fields(line)
			words = append(words, in...)
			if len(line) > width && len(in) > 1 || strings.Contains(line, "\n") {
				t.Errorf("%q in %d: %q", text, width, line)
			}
		}
		if !slices.Equal(words, strings.Fields(text)) {
			t.Errorf("%q in %d: words %q", text, width, words)
		}
	})
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ünïcode €":  "plain, ünïcode €",
		"tab\tbell\a":       "tab bell?",
		"\x1b[2J\x7f":       "?[2J?",
		"\u009b31m":         "?31m",
		"a\u202eb\u200bc":   "a?b?c",
		"\xff\xc3(":         "??(",
		"a\r\vb\x00c":       "a??b?c",
		"two\nlines":        "two?lines",
		"replaced: \ufffd.": "replaced: ?.",
		"":                  "",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[2J\u009b\xff\t\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := Printable(text)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) != utf8.RuneCountInString(text) || len(got) > len(text) {
			t.Errorf("%q: %q", text, got)
		}
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 {
				t.Errorf("%q: %q", text, got)
			}
		}
	})
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 5, ""}, {"12345", 5, "12345"}, {"123456", 5, "12..."}, {"1€3456", 5, "1..."}, {"€€", 5, "..."},
	} {
		if got := cut(test.text, test.limit); got != test.want {
			t.Errorf("%q to %d: %q, want %q", test.text, test.limit, got, test.want)
		}
	}
}
