package verity

import (
	"fmt"
	"strings"
	"time"
)

// progress shows a person how far a long job is; without a terminal it is silent.
type progress struct {
	session *session
	what    string
	start   time.Time
	shown   time.Time
	width   int
}

func (s *session) newProgress(what string) *progress {
	return &progress{session: s, what: what, start: time.Now()}
}

// Nothing is shown of short jobs, and no more than a few lines a second.
const (
	progressAfter    = time.Second
	progressInterval = 200 * time.Millisecond
)

// tell is called with the bytes that are done.
func (p *progress) tell(done, total int64) {
	if !p.session.interactive || total <= 0 {
		return
	}
	now := time.Now()
	if now.Sub(p.start) < progressAfter || now.Sub(p.shown) < progressInterval {
		return
	}
	p.shown = now
	line := progressLine(p.what, done, total, now.Sub(p.start))
	line = line[:min(len(line), max(0, p.session.terminalWidth-1))]
	fmt.Fprintf(p.session.stderr, "\r%-*s", p.width, line)
	p.width = len(line)
}

// end wipes the line, so that what follows starts in a clean one.
func (p *progress) end() {
	if p.width > 0 {
		fmt.Fprintf(p.session.stderr, "\r%s\r", strings.Repeat(" ", p.width))
	}
	p.width = 0
}

// progressLine gives percent, rate and time left.
func progressLine(what string, done, total int64, elapsed time.Duration) string {
	rate := float64(done) / elapsed.Seconds()
	left := time.Duration(0)
	if rate > 0 {
		left = time.Duration(float64(total-done) / rate * float64(time.Second))
	}
	return fmt.Sprintf("%s: %3d%%, %d of %d MiB, %.0f MiB/s, %s left",
		what, int64(float64(done)/float64(total)*100), done>>20, total>>20, rate/(1<<20), left.Round(time.Second))
}
