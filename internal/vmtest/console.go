package vmtest

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"
)

// consoleLimit bounds what is kept of a guest that prints without end, in
// bytes. A whole boot with its report is about 100 kB.
const consoleLimit = 64 << 20

// Line is one line of the console.
type Line struct {
	// Text without the line end.
	Text string

	// At is when the line end arrived, on the host's clock, since the start of
	// the machine.
	At time.Duration
}

// console collects the serial output, cuts it into lines and passes it on.
type console struct {
	mu      sync.Mutex
	start   time.Time
	text    bytes.Buffer
	lines   []Line
	partial []byte
	copyTo  io.Writer
	full    func()
	// talk answers what is printed; nil if nobody types.
	talk *dialog
	// reached is called when a line with the text until is complete; nil if nobody waits for one.
	until   string
	reached func()
	// plugs attaches disks at what is printed; nil if there are none to come.
	plugs *plugger
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copyTo != nil {
		// What watches the console must not be able to end the guest.
		_, _ = c.copyTo.Write(b)
	}
	if c.text.Len()+len(b) > consoleLimit {
		c.full()
		return len(b), nil
	}
	c.text.Write(b)
	if c.talk != nil {
		c.talk.hear(b)
	}
	if c.plugs != nil {
		c.plugs.hear(b)
	}
	at := time.Since(c.start)
	c.partial = append(c.partial, b...)
	for {
		end := bytes.IndexByte(c.partial, '\n')
		if end < 0 {
			return len(b), nil
		}
		c.lines = append(c.lines, Line{Text: strings.TrimRight(string(c.partial[:end]), "\r"), At: at})
		if c.reached != nil && bytes.Contains(c.partial[:end], []byte(c.until)) {
			c.reached()
		}
		c.partial = c.partial[end+1:]
	}
}

// finish returns the text with plain line ends, and the lines, an unfinished
// last one included.
func (c *console) finish() (string, []Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.partial) > 0 {
		c.lines = append(c.lines, Line{Text: strings.TrimRight(string(c.partial), "\r"), At: time.Since(c.start)})
		c.partial = nil
	}
	var text strings.Builder
	text.Grow(c.text.Len())
	for _, line := range c.lines {
		text.WriteString(line.Text)
		text.WriteByte('\n')
	}
	return text.String(), c.lines
}
