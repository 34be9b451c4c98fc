package failurescreen

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// whole has something in every field.
func whole() *Screen {
	return &Screen{
		Code: DeviceMissing, Cause: "no partition PARTUUID=0123 (root) appeared within 5m0s\nthere are: /dev/vda1 /dev/vda2",
		Step: "find devices", Waited: "PARTUUID=0123 (root), 5m0s", Done: []string{"mount /proc", "read settings"},
		Unbound:  []Device{{"0000:00:04.0", "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00"}, {"1-1:1.0", "usb:v0781"}},
		Previous: "PR-USR-HASH open /usr: wrong", System: "Linux 7.2.12, preroot full", Next: "Restarting in 10 s.",
	}
}

func check(t *testing.T, lines []string) {
	t.Helper()
	if len(lines) > Rows {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if len(line) > Columns || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}

func TestScreen(t *testing.T) {
	want := `===============================================================================
 This system could not be booted                                PR-DEV-MISSING
===============================================================================
 no partition PARTUUID=0123 (root) appeared within 5m0s
 there are: /dev/vda1 /dev/vda2

Step:       find devices
Waited for: PARTUUID=0123 (root), 5m0s
Devices without a driver in this initramfs:
  0000:00:04.0 pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00
  1-1:1.0 usb:v0781
Last time:  PR-USR-HASH open /usr: wrong
Before it:  mount /proc, read settings

What to do: Compare the name with the disk. If the disk is not there, its
            driver may be missing in this initramfs: see the devices without
            a driver.
-------------------------------------------------------------------------------
Linux 7.2.12, preroot full
Restarting in 10 s.
`
	if got := whole().Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	check(t, whole().Lines())
}

// A long cause is wrapped as a whole; words longer than a line are broken.
func TestNothingOfTheCauseIsLost(t *testing.T) {
	s := whole()
	s.Cause = "open /usr: " + strings.Repeat("0123456789abcdef", 12) + " is no " + strings.Repeat("word ", 60)
	lines := s.Lines()
	check(t, lines)
	squeeze := func(text string) string { return strings.Join(strings.Fields(text), "") }
	if got := squeeze(strings.Join(lines, "")); !strings.Contains(got, squeeze(s.Cause)) {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
}

func TestWhatThereIsNoRoomFor(t *testing.T) {
	s := whole()
	for i := range 40 {
		s.Unbound = append(s.Unbound, Device{fmt.Sprint("device", i), "pci:v0"})
	}
	lines := s.Lines()
	check(t, lines)
	if i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "  and ") }); i < 0 {
		t.Errorf("%q", lines)
	} else {
		shown := 0
		for _, line := range lines[:i] {
			if strings.Contains(line, "pci:v") || strings.Contains(line, "usb:v") {
				shown++
			}
		}
		if want := fmt.Sprintf("  and %d more", 42-shown); lines[i] != want {
			t.Errorf("%q, want %q", lines[i], want)
		}
	}
	if lines[len(lines)-1] != s.Next {
		t.Errorf("the end: %q", lines[len(lines)-1])
	}
	s.Cause = strings.Repeat("line\n", 60)
	lines = s.Lines()
	check(t, lines)
	if text := strings.Join(lines, "\n"); !strings.Contains(text, "more lines are in the kernel log\n") || lines[len(lines)-1] != s.Next {
		t.Errorf("%s", text)
	}
}

func TestAnEmptyScreen(t *testing.T) {
	lines := (&Screen{}).Lines()
	check(t, lines)
	if len(lines) < 3 {
		t.Errorf("%q", lines)
	}
}

func FuzzScreen(f *testing.F) {
	f.Add("cause\nadvice", "step", "\x1b[2J", 3)
	f.Add(strings.Repeat("w", 3000), strings.Repeat("x ", 300), "\u00e4\n", 99)
	f.Fuzz(func(t *testing.T, cause, text, odd string, count int) {
		s := &Screen{Code: Bug, Cause: cause, Step: text, Waited: odd, Previous: text, System: odd, Next: text, Done: []string{odd, text}}
		for range count % 100 {
			s.Unbound = append(s.Unbound, Device{odd, text})
		}
		check(t, s.Lines())
	})
}

func TestCodesAreDistinctAndFit(t *testing.T) {
	form := regexp.MustCompile(`^PR(-[A-Z]+)+$`)
	seen := map[string]bool{}
	for _, code := range Codes {
		if !form.MatchString(code.Name) || len(code.Name) > 24 || seen[code.Name] || code.Meaning == "" || code.Advice == "" {
			t.Errorf("%+v", code)
		}
		seen[code.Name] = true
	}
}

// TestTheDocumentationListsAllCodes and no others.
func TestTheDocumentationListsAllCodes(t *testing.T) {
	text, err := os.ReadFile("../../docs/failure.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, "| `PR-") {
			listed = append(listed, line)
		}
	}
	if len(listed) != len(Codes) {
		t.Errorf("%d rows for %d codes", len(listed), len(Codes))
	}
	for _, code := range Codes {
		want := fmt.Sprintf("| `%s` | %s | %s |", code.Name, code.Meaning, code.Advice)
		if !slices.Contains(listed, want) {
			t.Errorf("docs/failure.md lacks the row\n%s", want)
		}
	}
}
