// Package kernellog reads what the kernel complained about from a moment on:
// many system calls answer with a number only, and the reason is in the kernel's
// log (/dev/kmsg; kernel, Documentation/ABI/testing/dev-kmsg).
//
// It does not write; package bootlog does.
package kernellog

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mark is a place in the log. It owns a descriptor.
type Mark struct{ fd int }

// Now marks the end of the log as it is. Where the log cannot be read, nothing
// will be found behind the mark.
func Now() Mark {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return Mark{-1}
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		unix.Close(fd)
		return Mark{-1}
	}
	return Mark{fd}
}

// maxRecords bounds how much of a busy log is looked through.
const maxRecords = 256

// Complaints returns what the kernel logged since the mark, or since the last
// call, as a warning or worse, in order: the texts, a line each. What
// programs wrote into the log is left out.
func (m Mark) Complaints() []string {
	var texts []string
	buf := make([]byte, 8<<10) // records are at most that long
	for records := 0; m.fd >= 0 && records < maxRecords; records++ {
		n, err := unix.Read(m.fd, buf)
		if err == unix.EPIPE || err == unix.EINTR {
			// EPIPE: records were overwritten before they could be read.
			continue
		}
		if err != nil || n <= 0 {
			break
		}
		if text, ok := complaint(string(buf[:n])); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// Close ends the use of the mark.
func (m Mark) Close() {
	if m.fd >= 0 {
		unix.Close(m.fd)
	}
}

// complaint takes a record apart, "PRIORITY,NUMBER,TIME,FLAGS;TEXT\n KEY=VALUE...".
func complaint(record string) (text string, ok bool) {
	prefix, text, found := strings.Cut(record, ";")
	number, _, _ := strings.Cut(prefix, ",")
	// The lower three bits are the level, the rest the facility; the kernel's is 0.
	const warning = 4
	priority, err := strconv.ParseUint(number, 10, 16)
	if !found || err != nil || priority > warning {
		return "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	return text, text != ""
}
