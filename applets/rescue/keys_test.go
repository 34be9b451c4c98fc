package rescue

import (
	"os"
	"slices"
	"testing"
)

func TestKeys(t *testing.T) {
	for typed, want := range map[string]string{
		"abc":                "abc",
		"a\x1b[1~b\x1b[4~c":  "a\x01b\x05c",
		"\x1bOH\x1bOF":       "\x01\x05",
		"\x1b[7~\x1b[8~":     "\x01\x05",
		"\x1b[A\x1bOA\x1bOD": "\x1b[A\x1b[A\x1b[D",
		"\x1b[H\x1b[F":       "\x1b[H\x1b[F",
		"\x1b[3~":            "\x1b[3~",
		"\x1b[1;5C\x1b[1;3D": "\x1b[1;3C\x1b[1;3D",
		"\x1b\x1bx":          "\x1b\x1bx",
		"abc\x03def":         "abc\x05\x15\r",
		"\x1b[\x03":          "\x05\x15\r",
	} {
		var k keys
		interrupted := k.add([]byte(typed))
		if string(k.ready) != want || len(k.held) > 0 || interrupted != slices.Contains([]byte(typed), byte(ctrlC)) {
			t.Errorf("%q: %q, held %q, %v", typed, k.ready, k.held, interrupted)
		}
		// A slow line brings one byte after another.
		var slow keys
		for _, c := range []byte(typed) {
			if slow.add([]byte{c}) {
				break
			}
		}
		if string(slow.ready) != want {
			t.Errorf("%q, slowly: %q", typed, slow.ready)
		}
	}
}

func TestReadFromATerminal(t *testing.T) {
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	terminal := &terminal{in: in}
	for _, text := range []string{"\x1b", "[1", "~x", "abc\x03def"} {
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if text != "~x" && text != "abc\x03def" {
			continue
		}
		want := map[string]string{"~x": "\x01x", "abc\x03def": "abc\x05\x15\r"}[text]
		got := ""
		buf := make([]byte, 2)
		for len(got) < len(want) {
			n, err := terminal.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got += string(buf[:n])
		}
		if got != want {
			t.Errorf("%q", got)
		}
	}
	if !terminal.interrupted {
		t.Error("Ctrl-C was not noticed")
	}
	w.Close()
	if n, err := terminal.Read(make([]byte, 8)); n != 0 || err == nil || terminal.lost == nil {
		t.Errorf("the end: %d, %v, %v", n, err, terminal.lost)
	}
}

func TestHistory(t *testing.T) {
	h := &history{}
	for _, line := range []string{"a", "", "b", "b", "a"} {
		h.Add(line)
	}
	if h.Len() != 3 || h.At(0) != "a" || h.At(1) != "b" || h.At(2) != "a" {
		t.Errorf("%q", h.lines)
	}
	for range 2 * longestHistory {
		h.Add("x")
		h.Add("y")
	}
	if h.Len() != longestHistory || h.At(0) != "y" {
		t.Errorf("%d lines", h.Len())
	}
}
