package toolbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// timeForms are those that -d takes; without a zone they are of the machine's.
var timeForms = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

// touch sets the times of files, to now unless -d, -t or -r says otherwise, and makes those that are missing, unless -c does.
func touch(c *call) error {
	set, names, err := c.parse("a c/no-create d:/date h/no-dereference m r:/reference t:")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return wrongUse("name a file")
	}
	now := time.Now()
	access, changed := now, now
	switch set.last("drt") {
	case 'd':
		text, _ := set.value('d')
		if access, err = parseTime(text, now); err != nil {
			return wrongUse("%v", err)
		}
		changed = access
	case 't':
		text, _ := set.value('t')
		if access, err = parseStamp(text, now); err != nil {
			return wrongUse("%v", err)
		}
		changed = access
	case 'r':
		text, _ := set.value('r')
		var stat unix.Stat_t
		if err := unix.Stat(c.path(text), &stat); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		access, changed = time.Unix(stat.Atim.Sec, stat.Atim.Nsec), time.Unix(stat.Mtim.Sec, stat.Mtim.Nsec)
	}
	times := []unix.Timespec{unix.NsecToTimespec(access.UnixNano()), unix.NsecToTimespec(changed.UnixNano())}
	if set.has("a") != set.has("m") {
		omitted := 0
		if set.has("a") {
			omitted = 1
		}
		times[omitted].Nsec = unix.UTIME_OMIT
	}
	flags := 0
	if set.has("h") {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	for _, name := range names {
		path := c.path(name)
		err := unix.UtimesNanoAt(unix.AT_FDCWD, path, times, flags)
		if err == unix.ENOENT && !set.has("ch") {
			var file *os.File
			var made error
			if file, made = os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666); made == nil {
				file.Close()
				err = unix.UtimesNanoAt(unix.AT_FDCWD, path, times, flags)
			} else {
				err = lastCause(made).(unix.Errno)
			}
		}
		if err == unix.ENOENT && set.has("c") {
			continue
		}
		if err != nil {
			c.complain(fmt.Errorf("%s: %w", name, err))
		}
	}
	return nil
}

func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if number, ok := strings.CutPrefix(text, "@"); ok {
		if seconds, err := strconv.ParseInt(number, 10, 64); err == nil {
			return time.Unix(seconds, 0), nil
		}
	}
	for _, form := range timeForms {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return at, nil
		}
	}
	return now, fmt.Errorf("%q is no time, such as 2026-11-26 02:30:00 or @1700000000", text)
}

// parseStamp reads [[CC]YY]MMDDhhmm[.ss].
func parseStamp(text string, now time.Time) (time.Time, error) {
	for _, form := range []string{"200601021504.05", "200601021504", "0601021504.05", "0601021504", "01021504.05", "01021504"} {
		if len(form) != len(text) {
			continue
		}
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			if at.Year() == 0 {
				at = at.AddDate(now.Year(), 0, 0)
			}
			return at, nil
		}
	}
	return now, fmt.Errorf("%q is no time, such as 202611260230", text)
}
