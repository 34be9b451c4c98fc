package mountapi

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Error is a refused mount operation. Errno unwraps; KernelLog is what the
// kernel wrote about it, into the file system context (without its "e " marks) or into its
// log, empty if it wrote nothing.
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

// maxMessage is more than the kernel writes: messages may quote a path. One that
// does not fit the buffer is lost.
const maxMessage = 8 << 10

// maxMessages bounds the reading; the kernel keeps eight.
const maxMessages = 32

// readContextLog reads the messages waiting in a file system context, errors
// and warnings only; each read(2) returns one, "e TEXT\n" (kernel,
// Documentation/filesystems/mount_api.rst).
func readContextLog(fs int) (lines []string) {
	buf := make([]byte, maxMessage)
	for range maxMessages {
		n, err := unix.Read(fs, buf)
		if err == unix.EINTR || err == unix.EMSGSIZE {
			continue
		}
		if err != nil || n == 0 {
			break
		}
		if text := complaint(string(buf[:n])); text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}

// maxReasons is how many lines of the kernel's log are quoted: the first ones
// are the nearest to the cause.
const maxReasons = 3

// reasons picks from what the kernel complained about (package kernellog) what
// is about a file system or its device. Most file systems still write there and not into
// the context: "overlayfs: missing 'lowerdir'", "EXT4-fs (vda3): bad geometry".
func reasons(complaints []string, fsType, source string) []string {
	device := ""
	if below, found := strings.CutPrefix(source, "/dev/"); found && below != "" {
		device = path.Base(below)
	}
	var found []string
	for _, text := range complaints {
		about := strings.Contains(strings.ToLower(text), strings.ToLower(fsType)) || containsWord(text, device)
		if about && len(found) < maxReasons && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return found
}

// containsWord reports whether word stands in text by itself: "vda" does not in
// "vda1".
func containsWord(text, word string) bool {
	for word != "" {
		before, after, found := strings.Cut(text, word)
		if !found {
			return false
		}
		if (before == "" || !isWordByte(before[len(before)-1])) && (after == "" || !isWordByte(after[0])) {
			return true
		}
		text = after
	}
	return false
}

func isWordByte(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// complaint returns the text of an error or a warning, empty for others.
func complaint(message string) string {
	if kind, text, found := strings.Cut(message, " "); found && (kind == "e" || kind == "w") {
		return strings.TrimSpace(text)
	}
	return ""
}
