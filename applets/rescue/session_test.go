package rescue

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/preroot/preroot/internal/passphrase"
)

func TestAskPassphrase(t *testing.T) {
	h := passphrase.Hash{MemoryKiB: 8, Passes: 1, Lanes: 1, Salt: []byte("saltsalt")}
	h.Key = argon2.IDKey([]byte("right"), h.Salt, h.Passes, h.MemoryKiB, h.Lanes, 16)
	for _, c := range []struct {
		typed  string
		err    error
		wrong  int
		prompt int
	}{
		{"right", nil, 0, 1},
		{"wrong right", nil, 1, 2},
		{"wrong Right right", nil, 2, 3},
		{"wrong wrong wrong right", errDenied, 3, 3},
		{"", errDenied, 3, 3}, // Ctrl-D three times
	} {
		words := strings.Fields(c.typed)
		punished := 0
		var out bytes.Buffer
		err := askPassphrase(h.String(), func() ([]byte, error) {
			if len(words) == 0 {
				return nil, io.EOF
			}
			word := words[0]
			words = words[1:]
			return []byte(word), nil
		}, &out, func() { punished++ })
		if !errors.Is(err, c.err) || punished != c.wrong || strings.Count(out.String(), "Passphrase for a shell: ") != c.prompt {
			t.Errorf("%q: %v, %d times, %q", c.typed, err, punished, out.String())
		}
		if strings.Contains(out.String(), "right") || strings.Contains(out.String(), "wrong") {
			t.Errorf("what was typed is shown: %q", out.String())
		}
	}
	gone := errors.New("input/output error")
	if err := askPassphrase(h.String(), func() ([]byte, error) { return nil, gone }, io.Discard, func() {}); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if err := askPassphrase("no hash", func() ([]byte, error) { return nil, nil }, io.Discard, func() {}); err == nil || errors.Is(err, errDenied) {
		t.Errorf("%v", err)
	}
}
