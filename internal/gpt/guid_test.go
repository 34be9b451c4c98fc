package gpt_test

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/gpt"
)

const usrVerity = "77ff5f63-e7b6-4633-acf4-1565b864c0e6"

func mustParse(t testing.TB, text string) gpt.GUID {
	t.Helper()
	guid, err := gpt.ParseGUID(text)
	if err != nil {
		t.Fatal(err)
	}
	return guid
}

func TestGUIDText(t *testing.T) {
	guid := mustParse(t, usrVerity)
	if guid[0] != 0x77 || guid[3] != 0x63 || guid[15] != 0xe6 {
		t.Errorf("bytes of %s are % x, want them in text order", usrVerity, guid[:])
	}
	if got := guid.String(); got != usrVerity {
		t.Errorf("String() = %q, want %q", got, usrVerity)
	}
	if upper := mustParse(t, strings.ToUpper(usrVerity)); upper != guid {
		t.Errorf("upper case parses as %s", upper)
	}
	if guid.IsZero() || !(gpt.GUID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestParseGUIDRefuses(t *testing.T) {
	for _, text := range []string{
		"",
		"77ff5f63e7b64633acf41565b864c0e6",
		"{77ff5f63-e7b6-4633-acf4-1565b864c0e6}",
		"77ff5f63-e7b6-4633-acf4-1565b864c0e",
		"77ff5f63-e7b6-4633-acf4-1565b864c0e66",
		"77ff5f63-e7b6-4633-acf4-1565b864c0eg",
		"77ff5f6-3e7b6-4633-acf4-1565b864c0e6",
		"77ff5f63-e7b6-4633-acf4_1565b864c0e6",
		" 7ff5f63-e7b6-4633-acf4-1565b864c0e6",
		strings.Repeat("7", 100),
	} {
		guid, err := gpt.ParseGUID(text)
		if err == nil {
			t.Errorf("ParseGUID(%q) gives no error", text)
		} else if len(err.Error()) > 100 {
			t.Errorf("error is %d bytes long: %v", len(err.Error()), err)
		}
		if guid != (gpt.GUID{}) {
			t.Errorf("ParseGUID(%q) = %s beside the error", text, guid)
		}
	}
}

func FuzzParseGUID(f *testing.F) {
	f.Add(usrVerity)
	f.Add("77ff5f63e7b64633acf41565b864c0e6")
	f.Fuzz(func(t *testing.T, text string) {
		guid, err := gpt.ParseGUID(text)
		if err == nil && !strings.EqualFold(guid.String(), text) {
			t.Errorf("ParseGUID(%q).String() = %q", text, guid)
		}
	})
}
