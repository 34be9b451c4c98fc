package lastfailure

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const cause = "PR-USR-HASH open /usr\nthe top hash block does not match"

// fake has the places that are named: "message", "kept", "variables".
func fake(t *testing.T, places ...string) *Store {
	t.Helper()
	dir := t.TempDir()
	s := &Store{Message: filepath.Join(dir, "message"), Kept: filepath.Join(dir, "kept"), Variables: filepath.Join(dir, "variables")}
	for _, place := range places {
		var err error
		switch place {
		case "message":
			err = os.WriteFile(s.Message, nil, 0o600)
		default:
			err = os.Mkdir(filepath.Join(dir, place), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *Store) expect(t *testing.T, want string) {
	t.Helper()
	if got, err := s.Read(); got != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestPstoreIsPreferred(t *testing.T) {
	s := fake(t, "message", "kept", "variables")
	if where, err := s.Keep(cause); where != "pstore" || err != nil {
		t.Fatalf("%s, %v", where, err)
	}
	s.expect(t, "") // Nothing is kept before the restart.
	text, err := os.ReadFile(s.Message)
	if err != nil {
		t.Fatal(err)
	}
	// What the memory holds then, with what others wrote.
	kept := "other: x\n" + mark + "an older one" + end + string(text) + "systemd: y\n\x00\xff"
	if err := os.WriteFile(filepath.Join(s.Kept, "pmsg-ramoops-0"), []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Kept, "dmesg-ramoops-0"), []byte(mark+"not ours"+end), 0o600); err != nil {
		t.Fatal(err)
	}
	s.expect(t, cause)
	if names, err := os.ReadDir(s.Variables); err != nil || len(names) != 0 {
		t.Errorf("variables: %v, %v", names, err)
	}
}

func TestTheVariable(t *testing.T) {
	s := fake(t, "variables")
	s.expect(t, "")
	if where, err := s.Keep(cause); where != "EFI variable" || err != nil {
		t.Fatalf("%s, %v", where, err)
	}
	s.expect(t, cause)
	text, err := os.ReadFile(s.variable())
	if err != nil || string(text) != "\x07\x00\x00\x00"+cause {
		t.Errorf("%q, %v", text, err)
	}
	if err := s.Forget(); err != nil {
		t.Error(err)
	}
	s.expect(t, "")
	if err := s.Forget(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// The firmware's memory wears out.
func TestTheVariableIsRewrittenOnlyIfItChanges(t *testing.T) {
	s := fake(t, "variables")
	if _, err := s.Keep(cause); err != nil {
		t.Fatal(err)
	}
	long := time.Unix(1000, 0)
	if err := os.Chtimes(s.variable(), long, long); err != nil {
		t.Fatal(err)
	}
	written := func() bool {
		info, err := os.Stat(s.variable())
		if err != nil {
			t.Fatal(err)
		}
		return !info.ModTime().Equal(long)
	}
	if _, err := s.Keep(cause); err != nil || written() {
		t.Errorf("written again, %v", err)
	}
	if _, err := s.Keep(cause + " today"); err != nil || !written() {
		t.Errorf("not written, %v", err)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	s := fake(t, "variables")
	if _, err := s.Keep(strings.Repeat("\u00e4", 3000)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.variable())
	if err != nil || len(text) > headerSize+MaxSize || len(text) < MaxSize || !utf8.Valid(text[headerSize:]) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestAMachineWithoutAPlace(t *testing.T) {
	s := fake(t)
	if where, err := s.Keep(cause); where != "" || !errors.Is(err, ErrNoPlace) {
		t.Errorf("%s, %v", where, err)
	}
	s.expect(t, "")
	if err := s.Forget(); err != nil {
		t.Error(err)
	}
}

func TestAPlaceThatFails(t *testing.T) {
	s := fake(t, "variables")
	if err := os.Mkdir(s.variable(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Keep(cause); err == nil || errors.Is(err, ErrNoPlace) || !strings.HasPrefix(err.Error(), "keep the cause in an EFI variable: ") {
		t.Errorf("%v", err)
	}
	if text, err := s.Read(); text != "" || err == nil {
		t.Errorf("%q, %v", text, err)
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte("x" + mark + cause + end + "y"))
	f.Add([]byte(mark + mark + end + "\xff\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := find(text)
		if len(got) > MaxSize || !utf8.ValidString(got) || strings.Contains(got, end) || clean(got) != got {
			t.Errorf("%q: %q", text, got)
		}
	})
}
