package vmtest

import (
	"bytes"
	"io"
)

// Exchange is a part of a conversation over the serial line: once Wait was printed, Send is typed. What is printed
// before the last exchange does not count.
type Exchange struct{ Wait, Send string }

// dialog types what the exchanges say.
type dialog struct {
	left  []Exchange
	heard []byte
	typed chan string
}

// newDialog types into out until it is closed.
func newDialog(exchanges []Exchange, out io.Writer) *dialog {
	d := &dialog{left: exchanges, typed: make(chan string, len(exchanges))}
	go func() {
		for text := range d.typed {
			if _, err := io.WriteString(out, text); err != nil {
				return
			}
		}
	}()
	return d
}

// hear takes what was printed.
func (d *dialog) hear(text []byte) {
	if len(d.left) == 0 {
		return
	}
	d.heard = append(d.heard, text...)
	for len(d.left) > 0 {
		at := bytes.Index(d.heard, []byte(d.left[0].Wait))
		if at < 0 {
			return
		}
		d.heard = d.heard[at+len(d.left[0].Wait):]
		d.typed <- d.left[0].Send
		d.left = d.left[1:]
	}
	close(d.typed)
}
