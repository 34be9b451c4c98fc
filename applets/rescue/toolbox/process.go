package toolbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is what /proc tells of one (proc_pid_stat(5)).
type process struct {
	id, parent int
	name       string
	state      byte
	// cpu is user and system time, resident the memory in use in bytes.
	cpu      time.Duration
	resident int64
	command  string
}

// ps lists all processes. The options by which people ask for all of them are taken; there are no others.
func ps(c *call) error {
	words := c.Arguments[1:]
	for _, word := range words {
		if word = strings.TrimPrefix(word, "-"); word == "" || strings.Trim(word, "aAefluwx") != "" {
			return wrongUse("%q: ps lists all processes, in one way", word)
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	var all []process
	for _, entry := range entries {
		if _, err := strconv.ParseUint(entry.Name(), 10, 31); err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			// It has ended meanwhile.
			continue
		}
		p, err := parseStat(string(text))
		if err != nil {
			c.complain(fmt.Errorf("/proc/%s/stat: %w", entry.Name(), err))
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		p.command = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		if p.command == "" {
			p.command = "[" + p.name + "]"
		}
		all = append(all, p)
	}
	order(all, func(a, b *process) int { return a.id - b.id })
	rows := [][]string{{"PID", "PPID", "S", "RSS", "TIME", "COMMAND"}}
	for _, p := range all {
		rows = append(rows, []string{strconv.Itoa(p.id), strconv.Itoa(p.parent), string(p.state), humanSize(p.resident), clock(p.cpu), c.cut(c.text(p.command), 33)})
	}
	writeTable(c, rows, func(column int) bool { return column < 5 && column != 2 })
	return nil
}

// cut shortens a text so that it fits a terminal beside so many columns.
func (c *call) cut(text string, used int) string {
	if c.columns > 0 {
		runes := []rune(text)
		return string(runes[:min(len(runes), max(c.columns-used, 10))])
	}
	return text
}

// clock is a time as minutes and seconds.
func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// ticks is how many clock ticks a second has in /proc; the kernel fixes it for programs.
const ticks = 100

// parseStat reads /proc/PID/stat. The name stands in parentheses and can have any character, ")" too.
func parseStat(text string) (p process, err error) {
	first, last := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if first < 0 || last < first {
		return p, fmt.Errorf("no name in %q", text)
	}
	p.name = text[first+1 : last]
	fields := strings.Fields(text[last+1:])
	// These start with field 3; 24 is the memory.
	if len(fields) < 22 || len(fields[0]) != 1 {
		return p, fmt.Errorf("%d fields behind the name instead of 22", len(fields))
	}
	p.state = fields[0][0]
	numbers := map[int]*int64{0: new(int64), 1: new(int64), 11: new(int64), 12: new(int64), 21: new(int64)}
	for field, number := range numbers {
		text := strings.TrimSpace(text[:first])
		if field > 0 {
			text = fields[field]
		}
		if *number, err = strconv.ParseInt(text, 10, 64); err != nil || *number < 0 {
			return p, fmt.Errorf("field %q is no number", text)
		}
	}
	p.id, p.parent = int(*numbers[0]), int(*numbers[1])
	p.cpu = time.Duration(*numbers[11]+*numbers[12]) * time.Second / ticks
	p.resident = *numbers[21] * int64(os.Getpagesize())
	return p, nil
}

// free shows how memory is used: in KiB, with -b in bytes, -m in MiB, -h shortened.
func free(c *call) error {
	set, names, err := c.parse("b/bytes g/gibi h/human k/kibi m/mebi w/wide")
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return wrongUse("%s: it takes no names", shorten(names))
	}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	m := parseMemory(string(text))
	show := func(bytes int64) string {
		switch set.last("bghkm") {
		case 'b':
			return strconv.FormatInt(bytes, 10)
		case 'm':
			return strconv.FormatInt(bytes>>20, 10)
		case 'g':
			return strconv.FormatInt(bytes>>30, 10)
		case 'h':
			return humanSize(bytes)
		}
		return strconv.FormatInt(bytes>>10, 10)
	}
	cache := m["Buffers"] + m["Cached"] + m["SReclaimable"]
	rows := [][]string{{"", "total", "used", "free", "shared", "buff/cache", "available"}}
	// As free of procps 4 counts it.
	row := []string{"Mem:"}
	for _, n := range []int64{m["MemTotal"], m["MemTotal"] - m["MemAvailable"], m["MemFree"], m["Shmem"], cache, m["MemAvailable"]} {
		row = append(row, show(n))
	}
	swap := []string{"Swap:"}
	for _, n := range []int64{m["SwapTotal"], m["SwapTotal"] - m["SwapFree"], m["SwapFree"]} {
		swap = append(swap, show(n))
	}
	writeTable(c, append(rows, row, swap), func(column int) bool { return column > 0 })
	return nil
}

// parseMemory reads /proc/meminfo, in bytes.
func parseMemory(text string) map[string]int64 {
	sizes := map[string]int64{}
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 53)
		if err == nil && n >= 0 {
			sizes[name] = n << 10
		}
	}
	return sizes
}

// uname names the system: -a all of it.
func uname(c *call) error {
	set, names, err := c.parse("a/all m/machine n/nodename o/operating-system r/kernel-release s/kernel-name v/kernel-version")
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return wrongUse("%s: it takes no names", shorten(names))
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	var words []string
	for _, part := range []struct {
		letter byte
		text   string
	}{
		{'s', unix.ByteSliceToString(u.Sysname[:])}, {'n', unix.ByteSliceToString(u.Nodename[:])}, {'r', unix.ByteSliceToString(u.Release[:])},
		{'v', unix.ByteSliceToString(u.Version[:])}, {'m', unix.ByteSliceToString(u.Machine[:])}, {'o', "GNU/Linux"},
	} {
		if set.has("a") || set.has(string(part.letter)) || len(set) == 0 && part.letter == 's' {
			words = append(words, part.text)
		}
	}
	fmt.Fprintln(c.out, strings.Join(words, " "))
	return nil
}

// sleep waits: seconds with a fraction, or with m, h or d behind.
func sleep(c *call) error {
	total := time.Duration(0)
	for _, word := range c.Arguments[1:] {
		unit, digits := time.Second, word
		if u, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[(word + "s")[max(len(word)-1, 0)]]; ok {
			unit = u
			digits = strings.TrimRight(word, "smhd")
		}
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil || n < 0 || n > 1e6 || len(word)-len(digits) > 1 {
			return wrongUse("%q is no time", word)
		}
		total += time.Duration(n * float64(unit))
	}
	if len(c.Arguments) == 1 {
		return wrongUse("name a time")
	}
	select {
	case <-time.After(total):
		return nil
	case <-c.Done():
		return exitCode(128 + int(unix.SIGINT))
	}
}

// kill sends a signal to processes, TERM if none is named.
func kill(c *call) error {
	words := c.Arguments[1:]
	signal := unix.SIGTERM
	if len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		name := words[0][1:]
		words = words[1:]
		if (name == "s" || name == "n") && len(words) > 0 {
			name, words = words[0], words[1:]
		}
		if n, err := strconv.ParseUint(name, 10, 6); err == nil {
			signal = unix.Signal(n)
		} else if signal = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG")); signal == 0 {
			return wrongUse("there is no signal %s", name)
		}
	}
	if len(words) == 0 {
		return wrongUse("name a process by its number")
	}
	for _, word := range words {
		id, err := strconv.ParseInt(word, 10, 32)
		if err == nil {
			err = unix.Kill(int(id), signal)
		} else {
			err = wrongUse("%s: it is no number of a process", word)
		}
		if err != nil {
			c.complain(fmt.Errorf("%s: %w", word, err))
		}
	}
	return nil
}
