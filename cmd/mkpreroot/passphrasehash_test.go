package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/preroot/preroot/internal/passphrase"
)

func hashOf(t *testing.T, input string, arguments ...string) (string, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "stdin")
	if err := os.WriteFile(name, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	var out bytes.Buffer
	err = runPassphraseHash(arguments, stdin, &out, io.Discard)
	return out.String(), err
}

func TestPassphraseHash(t *testing.T) {
	var hashes []string
	for _, input := range []string{"correct horse\n", "correct horse", "correct horse\r\n", "correct horse\nanother line"} {
		text, err := hashOf(t, input)
		if err != nil {
			t.Fatal(err)
		}
		hash, err := passphrase.Parse(strings.TrimSuffix(text, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, text)
		if len(hashes) == 1 && (!hash.Matches(argon2.IDKey, []byte("correct horse")) || hash.Matches(argon2.IDKey, []byte("correct horse\n"))) {
			t.Errorf("%s is not the hash of it", text)
		}
	}
	if hashes[0] == hashes[1] {
		t.Error("two hashes have one salt")
	}
	for input, want := range map[string]string{"": "it is empty", "\n": "it is empty", strings.Repeat("x", 5000): "it is longer than 4000 bytes"} {
		if text, err := hashOf(t, input); text != "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %q, %v", input, text, err)
		}
	}
	if _, err := hashOf(t, "x", "secret"); err == nil || !strings.Contains(err.Error(), "unexpected argument") {
		t.Errorf("%v", err)
	}
}

func TestAskTwice(t *testing.T) {
	answers := []string{"a", "a", "a", "b", "", ""}
	ask := func(string) ([]byte, error) {
		answer := answers[0]
		answers = answers[1:]
		return []byte(answer), nil
	}
	if text, err := askTwice(ask); string(text) != "a" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := askTwice(ask); err == nil || err.Error() != "the two differ" {
		t.Errorf("%v", err)
	}
	if _, err := askTwice(ask); err == nil || err.Error() != "it is empty" {
		t.Errorf("%v", err)
	}
}
