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
	// interrupted: Ctrl-C was typed. lost: the terminal is gone.
	interrupted bool
	lost        error
}

const ctrlC, ctrlE, ctrlU = 3, 5, 21

func newTerminal(in, out *os.File) *terminal {
	t := &terminal{in: in, out: out}
	t.editor = term.NewTerminal(t, "")
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

// Read passes on what is typed. The editor would take Ctrl-C for the end: here it empties the line.
func (t *terminal) Read(p []byte) (int, error) {
	if len(p) < 3 {
		return 0, io.ErrShortBuffer
	}
	n, err := t.in.Read(p[:len(p)-2])
	if err != nil {
		t.lost = err
		return n, err
	}
	for i, c := range p[:n] {
		if c == ctrlC {
			t.interrupted = true
			// To the end, delete, enter. What was typed behind it is dropped, as a terminal does.
			return i + copy(p[i:i+3], []byte{ctrlE, ctrlU, '\r'}), nil
		}
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
