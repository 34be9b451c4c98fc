package passphrase

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
)

// reference is what argon2(1) of the reference implementation prints for
// "printf password | argon2 somesalt -id -t 2 -k 256 -p 1 -l 32 -e" (its test.c has the same).
const reference = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

func TestTheReferenceImplementationsHash(t *testing.T) {
	h, err := Parse(reference)
	if err != nil {
		t.Fatal(err)
	}
	if h.String() != reference || h.MemoryKiB != 256 || h.Passes != 2 || h.Lanes != 1 || string(h.Salt) != "somesalt" || len(h.Key) != 32 {
		t.Errorf("%+v", h)
	}
	if !h.Matches(argon2.IDKey, []byte("password")) {
		t.Error("the right one does not match")
	}
	for _, wrong := range []string{"", "Password", "password ", "password\n"} {
		if h.Matches(argon2.IDKey, []byte(wrong)) {
			t.Errorf("%q matches", wrong)
		}
	}
}

func TestNew(t *testing.T) {
	// Only the parameters matter here, not the function.
	plain := func(passphrase, salt []byte, passes, memoryKiB uint32, lanes uint8, size uint32) []byte {
		return append(bytes.Repeat([]byte{byte(len(passphrase))}, int(size)-1), byte(passes))
	}
	made := New(plain, []byte("secret"), bytes.Repeat([]byte{1}, SaltSize))
	read, err := Parse(made.String())
	if err != nil || read.String() != made.String() || !read.Matches(plain, []byte("secret")) || read.Matches(plain, []byte("no")) {
		t.Errorf("%s, %v", made, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":        "does not look like",
		"secret":  "does not look like",
		"$5$a$b$": "does not look like",
		strings.Replace(reference, "argon2id", "argon2i", 1):                  `"argon2i" is not argon2id`,
		strings.Replace(reference, "v=19", "v=16", 1):                         "is not v=19",
		strings.Replace(reference, "m=256", "m=7", 1):                         "m=7 is not between 8 and 262144",
		strings.Replace(reference, "m=256", "m=4294967295", 1):                "m=4294967295 is not between",
		strings.Replace(reference, "m=256", "m=99999999999", 1):               "is not m= and a number",
		strings.Replace(reference, "m=256", "m=+256", 1):                      "is not m= and a number",
		strings.Replace(reference, "m=256", "m=", 1):                          "is not m= and a number",
		strings.Replace(reference, "t=2", "t=0", 1):                           "t=0 is not between",
		strings.Replace(reference, "t=2", "t=65", 1):                          "t=65 is not between",
		strings.Replace(reference, "p=1", "p=17", 1):                          "p=17 is not between",
		strings.Replace(reference, "m=256,t=2,p=1", "m=8,t=2,p=2", 1):         "m=8 is too little for p=2",
		strings.Replace(reference, "m=256,t=2,p=1", "t=2,m=256,p=1", 1):       "is not m= and a number",
		strings.Replace(reference, "m=256,t=2,p=1", "m=256,t=2", 1):           "is not m=KIB,t=PASSES",
		strings.Replace(reference, "c29tZXNhbHQ", "c29tZQ", 1):                "the salt has 4 bytes",
		strings.Replace(reference, "c29tZXNhbHQ", "c29tZXNhbHQ=", 1):          "the salt is no base64",
		strings.Replace(reference, "c29tZXNhbHQ", strings.Repeat("A", 90), 1): "the salt is longer than 64",
		reference[:60]:       "the hash has",
		reference + "AAAAA*": "the hash is no base64",
		reference + "$":      "does not look like",
	} {
		if h, err := Parse(text); err == nil || !strings.HasPrefix(err.Error(), "read passphrase hash: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", text, h, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(reference)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := Parse(text)
		if err != nil {
			return
		}
		if h.MemoryKiB > MaxMemoryKiB || h.Passes < 1 || h.Passes > MaxPasses || h.Lanes < 1 || h.Lanes > MaxLanes || len(h.Key) > maxHash {
			t.Errorf("%q: %+v", text, h)
		}
		again, err := Parse(h.String())
		if err != nil || again.String() != h.String() {
			t.Errorf("%q: %s, %v", text, h, err)
		}
	})
}
