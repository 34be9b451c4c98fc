package console

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func fake(t *testing.T, active string) System {
	t.Helper()
	s := System{t.TempDir(), t.TempDir()}
	if err := os.MkdirAll(filepath.Dir(s.list()), 0o755); err != nil {
		t.Fatal(err)
	}
	if active != "" {
		if err := os.WriteFile(s.list(), []byte(active), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestActive(t *testing.T) {
	for text, want := range map[string][]string{
		"tty0 ttyS0\n":             {"tty0", "ttyS0"},
		"ttyS1\n":                  {"ttyS1"},
		"":                         {"console"},
		"\n":                       {"console"},
		"../../etc/x .. . hvc0 \n": {"hvc0"},
	} {
		if got := fake(t, text).Active(); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestWrite(t *testing.T) {
	s := fake(t, "")
	if err := os.WriteFile(s.Path("ttyS0"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Write("ttyS0", "text\n", 20*time.Second); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(s.Path("ttyS0")); err != nil || string(text) != "text\n" {
		t.Errorf("%q, %v", text, err)
	}
	if err := s.Write("ttyS1", "text\n", 20*time.Second); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A line that nobody reads from must not keep PID 1.
func TestWriteToWhatTakesNothing(t *testing.T) {
	s := fake(t, "")
	if err := unix.Mkfifo(s.Path("ttyS0"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(s.Path("ttyS0"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	start := time.Now()
	if err := s.Write("ttyS0", strings.Repeat("x", 1<<20), 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("%v", took)
	}
}

func TestWatchEndsInTime(t *testing.T) {
	w, err := fake(t, "tty0\n").NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// A plain file never tells.
	if changed, err := w.Wait(20 * time.Millisecond); changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if _, err := fake(t, "").NewWatch(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
