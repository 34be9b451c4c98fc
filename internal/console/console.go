// Package console reaches the people who may be looking: it knows the terminals that the kernel uses as consoles, writes
// to them, and waits for more of them.
package console

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// System is where consoles are found; Sys and Dev are /sys and /dev, or folders of a test.
type System struct{ Sys, Dev string }

// Machine is the machine's own.
var Machine = System{"/sys", "/dev"}

func (s System) list() string { return path.Join(s.Sys, "class/tty/console/active") }

// Active returns the names of the consoles in use, as below /dev. Without the kernel's list it is the one that the kernel
// prefers. Names that are no plain names are left out.
func (s System) Active() []string {
	text, err := os.ReadFile(s.list())
	var names []string
	if err == nil {
		for name := range strings.FieldsSeq(string(text)) {
			if !strings.ContainsAny(name, "/\x00") && name != ".." && name != "." {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return []string{"console"}
	}
	return names
}

// Path returns the device node of a console.
func (s System) Path(name string) string { return path.Join(s.Dev, name) }

// Write writes a text to a console within a time, and waits until the line has sent it. A terminal that takes nothing
// is an error and no reason to wait on.
func (s System) Write(name, text string, within time.Duration) error {
	deadline := time.Now().Add(within)
	file, err := os.OpenFile(s.Path(name), os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := file.SetWriteDeadline(deadline); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		file.Close()
		return fmt.Errorf("write to console %s: %w", name, err)
	}
	if _, err := file.WriteString(text); err != nil {
		file.Close()
		return fmt.Errorf("write to console %s: %w", name, err)
	}
	sent := make(chan struct{})
	go func() {
		// It may block for as long as the other side of the line likes.
		defer close(sent)
		defer file.Close()
		if raw, err := file.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TCSBRK, 1) })
		}
	}()
	select {
	case <-sent:
		return nil
	case <-time.After(time.Until(deadline)):
		return fmt.Errorf("write to console %s: %w", name, os.ErrDeadlineExceeded)
	}
}

// Watch tells when consoles come and go. The kernel notifies; nothing is asked again and again.
type Watch struct{ file *os.File }

// NewWatch starts to watch: what happens from now on is told.
func (s System) NewWatch() (*Watch, error) {
	file, err := os.Open(s.list())
	if err != nil {
		return nil, fmt.Errorf("watch consoles: %w", err)
	}
	w := &Watch{file}
	if err := w.read(); err != nil {
		file.Close()
		return nil, fmt.Errorf("watch consoles: %w", err)
	}
	return w, nil
}

// read takes note of what there is: the next change is news.
func (w *Watch) read() error {
	_, err := w.file.ReadAt(make([]byte, 4096), 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Wait returns true after a change, and false when the time is over.
func (w *Watch) Wait(within time.Duration) (bool, error) {
	deadline := time.Now().Add(within)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		set := []unix.PollFd{{Fd: int32(w.file.Fd()), Events: unix.POLLPRI}}
		n, err := unix.Poll(set, int(min(left, time.Hour)/time.Millisecond)+1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("watch consoles: %w", err)
		case n > 0:
			if err := w.read(); err != nil {
				return false, fmt.Errorf("watch consoles: %w", err)
			}
			return true, nil
		}
	}
}

// Close ends the watch.
func (w *Watch) Close() { w.file.Close() }
