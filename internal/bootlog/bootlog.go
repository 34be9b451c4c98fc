// Package bootlog writes to the kernel log as an early user-space program
// should: "<priority>name: text", one record a write (kernel
// Documentation/ABI/testing/dev-kmsg).
//
// Records reach the consoles as the kernel's console level says. The package
// writes no files and keeps no history; the structured record of a boot is the
// report.
package bootlog

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Priority is a syslog level; the facility is "daemon".
type Priority int

// The levels in use (syslog(3)).
const (
	Error   Priority = 3
	Warning Priority = 4
	Notice  Priority = 5
	Info    Priority = 6
	Debug   Priority = 7
)

const (
	facilityDaemon = 3 << 3
	// maxRecord bounds a record: the kernel cuts at 976 bytes with its prefix.
	maxRecord = 900
	// screenWidth is what fits beside the time stamp and "preroot: " on a line
	// of 80 columns.
	screenWidth = 55
)

// Logger writes records. The zero value drops everything.
type Logger struct {
	mu  sync.Mutex
	out io.Writer
	// kernel says that out is the kernel's log, and its settings may be changed.
	kernel bool
}

// Open writes to /dev/kmsg and lifts the kernel's rate limit for it, which
// would drop records of a busy boot; Close puts the limit back. A kernel
// without /dev/kmsg logs nowhere.
func Open() *Logger {
	limitRate("on")
	file, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return &Logger{}
	}
	return &Logger{out: file, kernel: true}
}

// New writes records to out, one Write each; for tests. It changes nothing
// else.
func New(out io.Writer) *Logger { return &Logger{out: out} }

// Close ends the logging and restores the kernel's default rate limit.
func (l *Logger) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kernel {
		limitRate("ratelimit")
	}
	if closer, ok := l.out.(io.Closer); ok {
		closer.Close()
	}
	l.out, l.kernel = nil, false
}

// RestoreRate restores the kernel's default rate limit for what follows; the log stays open.
func (l *Logger) RestoreRate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kernel {
		limitRate("ratelimit")
	}
}

// IsOpen reports whether records go anywhere.
func (l *Logger) IsOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out != nil
}

// Reopen opens /dev/kmsg again, as Open does, for somebody who had no /dev before. If that fails the log stays as it was.
func (l *Logger) Reopen() {
	again := Open()
	if !again.kernel {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if closer, ok := l.out.(io.Closer); ok {
		closer.Close()
	}
	l.out, l.kernel = again.out, true
}

// limitRate sets how the kernel treats what programs log. Where the kernel's
// command line has set it (printk.devkmsg=), it stays so.
func limitRate(mode string) {
	_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte(mode+"\n"), 0)
}

// Printf writes a record a line of the text; a line break at its end adds none.
// What cannot be printed, which may come from a disk or a command line, is
// replaced, and what is too long for a record is cut.
func (l *Logger) Printf(priority Priority, format string, arguments ...any) {
	text := strings.TrimSuffix(fmt.Sprintf(format, arguments...), "\n")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		record := fmt.Sprintf("<%d>preroot: %s", facilityDaemon|int(priority), Printable(line))
		_, _ = io.WriteString(l.out, cut(record, maxRecord)+"\n")
	}
}

// Fail writes text for a person who looks at a console: raised over any quiet
// setting, and broken into lines that fit 80 columns beside the time stamp.
func (l *Logger) Fail(text string) {
	l.mu.Lock()
	if l.kernel {
		ShowOnConsoles()
	}
	l.mu.Unlock()
	for _, line := range WrapLines(text, screenWidth) {
		l.Printf(Error, "%s", line)
	}
}

// ShowOnConsoles makes the kernel write records of every level but debug to all
// consoles.
func ShowOnConsoles() { SetConsoleLevel(int(Debug)) }

// HideOnConsoles makes the kernel write only what is worse than an error to the consoles, so that a person can read, and type.
func HideOnConsoles() { SetConsoleLevel(int(Error)) }

// ConsoleLevel returns below which priority records reach the consoles; 0 if the kernel does not tell (proc(5), printk).
func ConsoleLevel() int {
	text, err := os.ReadFile("/proc/sys/kernel/printk")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\t")
	level, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return level
}

// SetConsoleLevel lets records below a priority through (syslog(2), SYSLOG_ACTION_CONSOLE_LEVEL). 0 changes nothing.
func SetConsoleLevel(level int) {
	const consoleLevelAction = 8
	_, _, _ = unix.Syscall(unix.SYS_SYSLOG, consoleLevelAction, 0, uintptr(level))
}
