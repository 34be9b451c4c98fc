package mountapi

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Error is a refused mount operation. Errno unwraps; KernelLog is what the
// kernel wrote about it, without its "e " marks, empty if it wrote nothing.
type Error struct {
	Operation string
	FSType    string
	Source    string
	Target    string
	KernelLog string
	Errno     error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Operation)
	if e.FSType != "" {
		b.WriteString(" (" + e.FSType + ")")
	}
	if e.Source != "" {
		b.WriteString(" " + e.Source)
	}
	if e.Target != "" {
		b.WriteString(" at " + e.Target)
	}
	b.WriteString(": " + e.Errno.Error())
	if e.KernelLog != "" {
		b.WriteString(" (" + e.KernelLog + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Errno }

// readContextLog reads the messages waiting in a file system context, errors
// and warnings only; each read(2) returns one, "e TEXT\n" (kernel,
// Documentation/filesystems/mount_api.rst).
func readContextLog(fs int) string {
	var lines []string
	buf := make([]byte, 1024)
	for len(lines) < 8 {
		n, err := unix.Read(fs, buf)
		if err != nil || n < 2 {
			break
		}
		if kind := buf[0]; kind == 'e' || kind == 'w' {
			lines = append(lines, strings.TrimSpace(string(buf[2:n])))
		}
	}
	return strings.Join(lines, "; ")
}
