package rescue

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal edits lines on a terminal, which is raw only while somebody types: commands find it as they expect it.
type terminal struct {
	in, out *os.File
	editor  *term.Terminal
	keys    keys
	// interrupted: Ctrl-C was typed. lost: the terminal is gone.
	interrupted bool
	lost        error
}

// newTerminal returns a terminal with a history. complete may be nil.
func newTerminal(in, out *os.File, complete completer) *terminal {
	t := &terminal{in: in, out: out}
	t.editor = term.NewTerminal(t, "")
	t.editor.History = &history{}
	if complete != nil {
		t.editor.AutoCompleteCallback = func(line string, at int, key rune) (string, int, bool) {
			if key != '\t' {
				return "", 0, false
			}
			completed, at, choices := complete(line, at)
			if len(choices) > 0 {
				// The editor moves its line out of the way.
				_, _ = io.WriteString(t.editor, listChoices(choices))
			}
			return completed, at, true
		}
	}
	t.resize()
	return t
}

// resize takes the size that the terminal knows; a serial line knows none, and has 80 columns then.
func (t *terminal) resize() {
	columns, rows, err := term.GetSize(int(t.out.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		columns, rows = 80, 24
	}
	_ = t.editor.SetSize(columns, rows)
}

// Read passes on what is typed, as the editor understands it.
func (t *terminal) Read(p []byte) (int, error) {
	buf := make([]byte, 128)
	for len(t.keys.ready) == 0 {
		n, err := t.in.Read(buf)
		if t.keys.add(buf[:n]) {
			t.interrupted = true
		}
		if err != nil {
			t.lost = err
			break
		}
	}
	n := copy(p, t.keys.ready)
	t.keys.ready = t.keys.ready[n:]
	if n == 0 {
		return 0, t.lost
	}
	return n, nil
}

func (t *terminal) Write(p []byte) (int, error) { return t.out.Write(p) }

// ReadLine reads a line with the editor.
func (t *terminal) ReadLine(prompt string) (string, error) {
	state, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(int(t.in.Fd()), state) }()
	t.resize()
	t.editor.SetPrompt(prompt)
	t.interrupted = false
	line, err := t.editor.ReadLine()
	switch {
	case t.lost != nil:
		return "", t.lost
	case t.interrupted:
		return "", errInterrupted
	case errors.Is(err, io.EOF):
		return "", errLeft
	case errors.Is(err, term.ErrPasteIndicator):
		err = nil
	}
	return line, err
}

// withoutSuspend switches off the key that stops a command: without job control nobody could wake it up.
func withoutSuspend(fd int) {
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err == nil {
		settings.Cc[unix.VSUSP] = 0
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, settings)
	}
}

// history keeps the last lines for the cursor keys, without empty ones and those that are only typed again.
type history struct{ lines []string }

const longestHistory = 200

func (h *history) Add(line string) {
	if line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > longestHistory {
		h.lines = h.lines[1:]
	}
}

func (h *history) Len() int { return len(h.lines) }

// At returns a line; 0 is the last one.
func (h *history) At(at int) string { return h.lines[len(h.lines)-1-at] }
