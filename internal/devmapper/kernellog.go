package devmapper

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelLog reads what the kernel logs from the moment it is opened.
type kernelLog struct{ fd int }

func openKernelLog() kernelLog {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return kernelLog{-1}
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		unix.Close(fd)
		return kernelLog{-1}
	}
	return kernelLog{fd}
}

// maxRecords bounds how much of a busy log is looked through.
const maxRecords = 256

// reason returns why the kernel refused the table of a device: what it said
// about this device, else the last thing the device mapper complained about,
// without the prefix. It is empty if there was nothing, or the log cannot be read.
func (l kernelLog) reason(major, minor uint32) string {
	reason := ""
	buf := make([]byte, 8<<10)
	for records := 0; l.fd >= 0 && records < maxRecords; records++ {
		n, err := unix.Read(l.fd, buf)
		if err == unix.EPIPE || err == unix.EINTR {
			// EPIPE: records were overwritten before they could be read.
			continue
		}
		if err != nil || n <= 0 {
			break
		}
		found, own := complaint(string(buf[:n]), major, minor)
		if own {
			return found
		}
		if found != "" {
			reason = found
		}
	}
	return reason
}

func (l kernelLog) close() {
	if l.fd >= 0 {
		unix.Close(l.fd)
	}
}

// complaint returns what the device mapper complains about in one record of
// /dev/kmsg, "PRIORITY,NUMBER,...;TEXT\n KEY=VALUE...", without its prefix
// (kernel, Documentation/ABI/testing/dev-kmsg); own says that it names the
// table of this device. It is empty for records of others, for what is only
// information, for the table of another device, and for the general complaint
// that follows the precise one.
func complaint(record string, major, minor uint32) (text string, own bool) {
	prefix, text, found := strings.Cut(record, ";")
	if !found {
		return "", false
	}
	const warning, levels = 4, 8
	number, _, _ := strings.Cut(prefix, ",")
	if priority, err := strconv.Atoi(number); err != nil || priority%levels > warning {
		return "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	text, found = strings.CutPrefix(text, "device-mapper: ")
	if !found || strings.HasPrefix(text, "ioctl: error adding target") {
		return "", false
	}
	if table, found := strings.CutPrefix(text, "table: "); found {
		text, own = strings.CutPrefix(table, fmt.Sprintf("%d:%d: ", major, minor))
		if !own {
			return "", false
		}
	}
	return text, own
}
