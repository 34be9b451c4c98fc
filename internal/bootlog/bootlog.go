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
}

// Open writes to /dev/kmsg and lifts the kernel's rate limit for it, which
// would drop records of a busy boot; Close puts the limit back. A kernel
// without /dev/kmsg logs nowhere.
func Open() *Logger {
	_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0)
	file, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return &Logger{}
	}
	return &Logger{out: file}
}

// New writes records to out, one Write each; for tests.
func New(out io.Writer) *Logger { return &Logger{out: out} }

// Close ends the logging and restores the kernel's default rate limit.
func (l *Logger) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if closer, ok := l.out.(io.Closer); ok {
		_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("ratelimit\n"), 0)
		closer.Close()
	}
	l.out = nil
}

// Printf writes a record a line of the text. Control characters, which may
// come from a disk or a command line, are replaced.
func (l *Logger) Printf(priority Priority, format string, arguments ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil {
		return
	}
	for _, line := range strings.Split(fmt.Sprintf(format, arguments...), "\n") {
		record := fmt.Sprintf("<%d>preroot: %s", facilityDaemon|int(priority), printable(line))
		if len(record) > maxRecord {
			record = record[:maxRecord]
		}
		_, _ = io.WriteString(l.out, record+"\n")
	}
}

// Fail writes text for a person who looks at a console: raised over any quiet
// setting, and broken into lines that fit 80 columns beside the time stamp.
func (l *Logger) Fail(text string) {
	ShowOnConsoles()
	for _, line := range WrapLines(text, screenWidth) {
		l.Printf(Error, "%s", line)
	}
}

// ShowOnConsoles makes the kernel write records of every level but debug to all
// consoles (syslog(2), SYSLOG_ACTION_CONSOLE_LEVEL).
func ShowOnConsoles() {
	const consoleLevelAction, upToInfo = 8, 7
	_, _, _ = unix.Syscall(unix.SYS_SYSLOG, consoleLevelAction, 0, upToInfo)
}

func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, line)
}

// WrapLines breaks text at blanks into lines of at most width bytes; longer
// words get a line of their own. Line breaks in the text stay.
func WrapLines(text string, width int) []string {
	var lines []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && len(line)+1+len(word) > width {
				lines = append(lines, line)
				line = "  "
			}
			if strings.TrimSpace(line) != "" {
				line += " "
			}
			line += word
		}
		lines = append(lines, line)
	}
	return lines
}
