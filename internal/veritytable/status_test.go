package veritytable

import (
	"strings"
	"testing"
)

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]Status{
		"V":                         {},
		"C":                         {Corrupted: true},
		"V -":                       {},
		"C -":                       {Corrupted: true},
		"V 0":                       {HasCorrections: true},
		"C 17":                      {Corrupted: true, Corrections: 17, HasCorrections: true},
		" V 1 new words ":           {Corrections: 1, HasCorrections: true},
		"Valid":                     {}, // only the first character is promised
		"V 99999999999999999999999": {},
	} {
		if got, err := ParseStatus(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", " ", "-", "v", "0", "\x00V"} {
		if got, err := ParseStatus(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, text := range []string{"V", "C -", "V 12", "", strings.Repeat("V ", 99)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		status, err := ParseStatus(text)
		if err == nil && status.Corrupted != (strings.Fields(text)[0][0] == 'C') {
			t.Errorf("%q: %+v", text, status)
		}
	})
}
