package toolbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/bootlog"
)

var (
	levels     = []string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"}
	facilities = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"}
)

// record is a message of the kernel's log.
type record struct {
	level, facility int
	// since is the time since the kernel started.
	since time.Duration
	text  string
}

// parseRecord reads what /dev/kmsg gives (kernel, Documentation/ABI/testing/dev-kmsg): "PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT", and
// lines that begin with a blank and say more about devices.
func parseRecord(raw string) (r record, err error) {
	prefix, text, found := strings.Cut(raw, ";")
	fields := strings.Split(prefix, ",")
	if !found || len(fields) < 3 {
		return r, fmt.Errorf("%q is no record of the kernel's log", raw)
	}
	priority, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil {
		return r, fmt.Errorf("%q is no record of the kernel's log", raw)
	}
	since, err := strconv.ParseUint(fields[2], 10, 53)
	if err != nil {
		return r, fmt.Errorf("%q is no record of the kernel's log", raw)
	}
	r.level, r.facility = int(priority&7), int(priority>>3)
	r.since = time.Duration(min(since, uint64(1<<63-1)/1000)) * time.Microsecond
	text, _, _ = strings.Cut(text, "\n")
	r.text = unescape(text)
	return r, nil
}

// unescape undoes \xHH, by which the kernel writes what is no printable ASCII.
func unescape(text string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, `\x`)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		n, err := strconv.ParseUint(after[:min(2, len(after))], 16, 8)
		if err != nil || len(after) < 2 {
			out.WriteString(`\x`)
			text = after
			continue
		}
		out.WriteByte(byte(n))
		text = after[2:]
	}
}

// dmesg shows the kernel's log: -l LEVEL only of these levels ("err+" with the worse ones), -w waits for more, -n LEVEL sets what
// goes to the consoles.
func dmesg(c *call) error {
	set, names, err := c.parse("c/read-clear C/clear D/console-off d/show-delta E/console-on f:/facility H/human k/kernel l:/level n:/console-level " +
		"P/nopager r/raw t/notime T/ctime u/userspace w/follow W/follow-new x/decode L/color")
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return wrongUse("%s: it takes no names", shorten(names))
	}
	if done, err := logAction(set); done || err != nil {
		return err
	}
	wanted, err := logFilter(set)
	if err != nil {
		return err
	}
	flags := os.O_RDONLY | unix.O_NONBLOCK
	file, err := unix.Open("/dev/kmsg", flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("read the kernel's log: %w", err)
	}
	defer unix.Close(file)
	if set.has("W") {
		if _, err := unix.Seek(file, 0, io.SeekEnd); err != nil {
			return fmt.Errorf("read the kernel's log: %w", err)
		}
	}
	err = c.readLog(file, set, wanted)
	if err == nil && set.has("c") {
		_, err = unix.Klogctl(unix.SYSLOG_ACTION_CLEAR, nil)
	}
	return err
}

// logAction does what is no reading.
func logAction(set options) (done bool, err error) {
	switch set.last("CDEn") {
	case 'C':
		_, err = unix.Klogctl(unix.SYSLOG_ACTION_CLEAR, nil)
	case 'D':
		_, err = unix.Klogctl(unix.SYSLOG_ACTION_CONSOLE_OFF, nil)
	case 'E':
		_, err = unix.Klogctl(unix.SYSLOG_ACTION_CONSOLE_ON, nil)
	case 'n':
		value, _ := set.value('n')
		level := slices.Index(levels, value) + 1
		if n, err := strconv.Atoi(value); err == nil && n >= 1 && n <= 8 {
			level = n
		}
		if level == 0 {
			return true, wrongUse("-n %s: it is one of %s, or 1 to 8", value, strings.Join(levels, " "))
		}
		err = setConsoleLevel(level)
	default:
		return false, nil
	}
	if err != nil {
		err = fmt.Errorf("change the kernel's log: %w", err)
	}
	return true, err
}

// logFilter says which records are wanted.
func logFilter(set options) (func(record) bool, error) {
	chosen, facility := map[int]bool{}, map[int]bool{}
	for _, g := range set {
		if g.letter != 'l' && g.letter != 'f' {
			continue
		}
		for word := range strings.SplitSeq(g.value, ",") {
			if g.letter == 'f' {
				i := slices.Index(facilities, word)
				if i < 0 {
					return nil, wrongUse("-f %s: it is one of %s", word, strings.Join(facilities, " "))
				}
				facility[i] = true
				continue
			}
			name := strings.Trim(word, "+")
			i := slices.Index(levels, name)
			if i < 0 {
				return nil, wrongUse("-l %s: it is one of %s", word, strings.Join(levels, " "))
			}
			for level := range levels {
				if level == i || level < i && strings.HasSuffix(word, "+") || level > i && strings.HasPrefix(word, "+") {
					chosen[level] = true
				}
			}
		}
	}
	return func(r record) bool {
		return (len(chosen) == 0 || chosen[r.level]) && (len(facility) == 0 || facility[r.facility]) &&
			!(set.has("k") && r.facility != 0) && !(set.has("u") && r.facility == 0)
	}, nil
}

// readLog prints records until there are no more, or with -w for ever.
func (c *call) readLog(file int, set options, wanted func(record) bool) error {
	follow := set.has("wW")
	buf := make([]byte, 8<<10) // records are at most that long
	started := time.Time{}
	if set.has("T") {
		started = startOfKernel()
	}
	for c.Err() == nil {
		n, err := unix.Read(file, buf)
		switch {
		case err == unix.EPIPE || err == unix.EINTR:
			// EPIPE: records were overwritten before they could be read.
			continue
		case err == unix.EAGAIN && follow:
			c.flush()
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(file), Events: unix.POLLIN}}, 1000); err != nil && err != unix.EINTR {
				return err
			}
			continue
		case err == unix.EAGAIN:
			return nil
		case err != nil:
			return fmt.Errorf("read the kernel's log: %w", err)
		}
		if n == 0 {
			return nil
		}
		r, err := parseRecord(string(buf[:n]))
		if err != nil {
			c.complain(err)
			continue
		}
		if !wanted(r) {
			continue
		}
		prefix := r.prefix(set, started)
		for line := range strings.SplitSeq(r.text, "\n") {
			parts := strings.Split(line, "\t")
			for i := range parts {
				parts[i] = bootlog.Printable(parts[i])
			}
			fmt.Fprintln(c.out, prefix+strings.Join(parts, "\t"))
			// The lines of one record stand below each other.
			prefix = strings.Repeat(" ", len(prefix))
		}
	}
	return nil
}

func (r record) prefix(set options, started time.Time) string {
	text := ""
	if set.has("r") {
		text = fmt.Sprintf("<%d>", r.facility<<3|r.level)
	}
	if set.has("x") {
		facility := strconv.Itoa(r.facility)
		if r.facility < len(facilities) {
			facility = facilities[r.facility]
		}
		text = fmt.Sprintf("%-6s:%-6s: ", facility, levels[r.level])
	}
	switch {
	case set.has("t"):
	case set.has("T"):
		text += "[" + started.Add(r.since).Format("Mon Jan _2 15:04:05 2006") + "] "
	default:
		text += fmt.Sprintf("[%5d.%06d] ", int64(r.since/time.Second), r.since%time.Second/time.Microsecond)
	}
	return text
}

// startOfKernel is when the kernel's clock began, as far as the machine's clock is right.
func startOfKernel() time.Time {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(now.Nano()))
}

// setConsoleLevel makes the kernel write what is more urgent than a level to the consoles.
func setConsoleLevel(level int) error {
	// The first of four numbers; klogctl takes it as a length, which the library counts by itself.
	err := os.WriteFile("/proc/sys/kernel/printk", []byte(strconv.Itoa(level)+"\n"), 0)
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path
	}
	return err
}
