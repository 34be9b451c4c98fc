package devmapper

import (
	"fmt"
	"strings"
)

// reason picks from what the kernel complained about (package kernellog) why it
// refused the table of a device: what it said about this device, else the last
// thing that the device mapper said; without prefixes, and empty if there is nothing.
func reason(complaints []string, major, minor uint32) string {
	last := ""
	for _, text := range complaints {
		text, found := strings.CutPrefix(text, "device-mapper: ")
		// That one follows the precise complaint.
		if !found || strings.HasPrefix(text, "ioctl: error adding target") {
			continue
		}
		table, found := strings.CutPrefix(text, "table: ")
		if !found {
			last = withoutErrno(text)
			continue
		}
		if own, found := strings.CutPrefix(table, fmt.Sprintf("%d:%d: ", major, minor)); found {
			own = withoutErrno(own)
			// What went before may be the same with more words: which feature was not recognized.
			if strings.HasPrefix(last, own) {
				return last
			}
			return own
		}
	}
	return last
}

// withoutErrno cuts " (-EINVAL)" off the end of a message: the error number
// stands beside it already.
func withoutErrno(text string) string {
	start := strings.LastIndex(text, " (-E")
	if start < 0 || !strings.HasSuffix(text, ")") || strings.Contains(text[start+1:], " ") {
		return text
	}
	return text[:start]
}
