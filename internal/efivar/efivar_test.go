package efivar

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return directory
}

func TestReadText(t *testing.T) {
	const name = "StubPcrKernelImage-" + Loader
	for content, want := range map[string]string{
		"\x06\x00\x00\x001\x001\x00\x00\x00":    "11",
		"\x06\x00\x00\x001\x001\x00":            "11",
		"\x06\x00\x00\x00":                      "",
		"\x06\x00\x00\x00\x00\x001\x00":         "",
		"\x06\x00\x00\x00\xe4\x00=\xd8\x00\xde": "ä\U0001F600",
		"\x06\x00\x00\x00\x00\xd8":              "\uFFFD",
	} {
		if got, err := ReadText(write(t, name, content), "StubPcrKernelImage", Loader); err != nil || got != want {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
	for _, content := range []string{"", "\x06\x00\x00", "\x06\x00\x00\x001", strings.Repeat("x", maxSize+5)} {
		if got, err := ReadText(write(t, name, content), "StubPcrKernelImage", Loader); !errors.Is(err, ErrMalformed) || got != "" {
			t.Errorf("%d bytes: %q, %v", len(content), got, err)
		}
	}
	// Another vendor's variable of the name is another one.
	if _, err := ReadText(write(t, name, "\x06\x00\x00\x00"), "StubPcrKernelImage", Systemd); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzParseText(f *testing.F) {
	f.Add([]byte("1\x001\x00\x00\x00"))
	f.Add([]byte{0, 0xd8, 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		text, err := ParseText(value)
		if (err != nil) != (len(value)%2 != 0) || strings.Contains(text, "\x00") {
			t.Errorf("%q: %q, %v", value, text, err)
		}
	})
}
