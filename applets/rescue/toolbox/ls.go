package toolbox

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// listing is how ls was asked to list.
type listing struct {
	options
	all, almostAll, long bool
	// ofDirectories: a directory is listed as itself.
	ofDirectories bool
}

// listed is a name with what the kernel knows of it.
type listed struct {
	name, path string
	stat       unix.Stat_t
}

// ls lists names: -1 one a line, -a with those that begin with a dot, -l with all that is known of them (owners are numbers,
// nobody knows their names here), -R with all below.
func ls(c *call) error {
	set, names, err := c.parse("1 a/all A/almost-all d/directory F/classify h/human-readable i/inode l n/numeric-uid-gid p r/reverse R/recursive S t")
	if err != nil {
		return err
	}
	l := listing{options: set, all: set.has("a"), almostAll: set.has("aA"), long: set.has("ln"), ofDirectories: set.has("d")}
	if len(names) == 0 {
		names = []string{"."}
	}
	var plain, directories []listed
	for _, name := range names {
		e := listed{name: name, path: c.path(name)}
		err := unix.Lstat(e.path, &e.stat)
		if err == nil && !l.ofDirectories {
			// A link to a directory is that directory, unless it shall be described.
			var behind unix.Stat_t
			if unix.Stat(e.path, &behind) == nil && behind.Mode&unix.S_IFMT == unix.S_IFDIR && !(l.long && e.isLink() && !strings.HasSuffix(name, "/")) {
				e.stat = behind
			}
		}
		switch {
		case err != nil:
			c.complain(fmt.Errorf("%s: %w", name, err))
		case e.isDir() && !l.ofDirectories:
			directories = append(directories, e)
		default:
			plain = append(plain, e)
		}
	}
	l.sort(plain)
	l.print(c, plain)
	l.sort(directories)
	for i, d := range directories {
		if i > 0 || len(plain) > 0 {
			fmt.Fprintln(c.out)
		}
		l.directory(c, d, len(names) > 1 || set.has("R"))
	}
	return nil
}

func (e listed) isDir() bool  { return e.stat.Mode&unix.S_IFMT == unix.S_IFDIR }
func (e listed) isLink() bool { return e.stat.Mode&unix.S_IFMT == unix.S_IFLNK }

func (l listing) directory(c *call, d listed, titled bool) {
	if titled {
		fmt.Fprintf(c.out, "%s:\n", c.text(d.name))
	}
	names, err := readNames(d.path)
	if err != nil {
		c.complain(fmt.Errorf("%s: %w", d.name, underlying(err)))
	}
	if l.all {
		names = append(names, ".", "..")
	}
	var entries []listed
	for _, name := range names {
		if strings.HasPrefix(name, ".") && !l.almostAll {
			continue
		}
		e := listed{name: name, path: filepath.Join(d.path, name)}
		if err := unix.Lstat(e.path, &e.stat); err != nil {
			if err != unix.ENOENT {
				c.complain(fmt.Errorf("%s: %w", e.path, err))
			}
			continue
		}
		entries = append(entries, e)
	}
	l.sort(entries)
	if l.long {
		blocks := int64(0)
		for _, e := range entries {
			blocks += e.stat.Blocks
		}
		fmt.Fprintf(c.out, "total %d\n", blocks/2)
	}
	l.print(c, entries)
	if !l.has("R") {
		return
	}
	for _, e := range entries {
		if e.isDir() && e.name != "." && e.name != ".." && c.Err() == nil {
			fmt.Fprintln(c.out)
			e.name = strings.TrimSuffix(d.name, "/") + "/" + e.name
			l.directory(c, e, true)
		}
	}
}

// readNames returns the names in a directory; with an error those that could be read.
func readNames(directory string) ([]string, error) {
	file, err := os.Open(directory)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Readdirnames(-1)
}

// underlying is what the kernel said.
func underlying(err error) error {
	if path, ok := err.(*fs.PathError); ok {
		return path.Err
	}
	return err
}

func (l listing) sort(entries []listed) {
	order(entries, func(a, b *listed) int {
		result := 0
		switch l.last("tS") {
		case 't':
			result = cmp.Or(cmp.Compare(b.stat.Mtim.Sec, a.stat.Mtim.Sec), cmp.Compare(b.stat.Mtim.Nsec, a.stat.Mtim.Nsec))
		case 'S':
			result = cmp.Compare(b.stat.Size, a.stat.Size)
		}
		result = cmp.Or(result, cmp.Compare(a.name, b.name))
		if l.has("r") {
			return -result
		}
		return result
	})
}

func (l listing) print(c *call, entries []listed) {
	var rows [][]string
	for _, e := range entries {
		var row []string
		if l.has("i") {
			row = append(row, strconv.FormatUint(e.stat.Ino, 10))
		}
		if l.long {
			row = append(row, l.details(e)...)
		}
		rows = append(rows, append(row, l.title(c, e)))
	}
	switch {
	case l.long || l.has("i"):
		// The mode and the name begin at the left.
		writeTable(c, rows, func(column int) bool { return column < len(rows[0])-1 && !(l.long && column == len(rows[0])-8) })
	case c.columns > 0 && !l.has("1"):
		writeColumns(c, rows)
	default:
		for _, row := range rows {
			fmt.Fprintln(c.out, row[0])
		}
	}
}

// details are all columns of -l but the name.
func (l listing) details(e listed) []string {
	size := strconv.FormatInt(e.stat.Size, 10)
	switch e.stat.Mode & unix.S_IFMT {
	case unix.S_IFBLK, unix.S_IFCHR:
		size = fmt.Sprintf("%d,%4d", unix.Major(uint64(e.stat.Rdev)), unix.Minor(uint64(e.stat.Rdev)))
	default:
		if l.has("h") {
			size = humanSize(e.stat.Size)
		}
	}
	changed := time.Unix(e.stat.Mtim.Sec, e.stat.Mtim.Nsec)
	return []string{modeText(e.stat.Mode), strconv.FormatUint(uint64(e.stat.Nlink), 10), strconv.FormatUint(uint64(e.stat.Uid), 10),
		strconv.FormatUint(uint64(e.stat.Gid), 10), size, changed.Format("2006-01-02"), changed.Format("15:04")}
}

// title is the name as it is shown.
func (l listing) title(c *call, e listed) string {
	text := c.text(e.name)
	if l.long && e.isLink() {
		if target, err := os.Readlink(e.path); err == nil {
			return text + " -> " + c.text(target)
		}
	}
	if !l.has("Fp") {
		return text
	}
	kind := e.stat.Mode & unix.S_IFMT
	switch {
	case kind == unix.S_IFDIR:
		return text + "/"
	case !l.has("F"):
	case kind == unix.S_IFLNK:
		return text + "@"
	case kind == unix.S_IFSOCK:
		return text + "="
	case kind == unix.S_IFIFO:
		return text + "|"
	case kind == unix.S_IFREG && e.stat.Mode&0o111 != 0:
		return text + "*"
	}
	return text
}

// modeText is a mode as ls shows it.
func modeText(mode uint32) string {
	kinds := map[uint32]byte{unix.S_IFDIR: 'd', unix.S_IFLNK: 'l', unix.S_IFBLK: 'b', unix.S_IFCHR: 'c', unix.S_IFIFO: 'p', unix.S_IFSOCK: 's'}
	text := []byte("-rwxrwxrwx")
	if kind := kinds[mode&unix.S_IFMT]; kind != 0 {
		text[0] = kind
	}
	for i := range 9 {
		if mode&(1<<(8-i)) == 0 {
			text[i+1] = '-'
		}
	}
	for _, special := range []struct {
		bit   uint32
		at    int
		short byte
	}{{unix.S_ISUID, 3, 's'}, {unix.S_ISGID, 6, 's'}, {unix.S_ISVTX, 9, 't'}} {
		if mode&special.bit == 0 {
			continue
		}
		if text[special.at] == 'x' {
			text[special.at] = special.short
		} else {
			text[special.at] = special.short - 'a' + 'A'
		}
	}
	return string(text)
}

// writeTable prints rows in columns as wide as needed; right tells those that are lined up at the right. The last column is
// never filled up.
func writeTable(c *call, rows [][]string, right func(column int) bool) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if right(i) {
				cell, padding = padding+cell, ""
			}
			line.WriteString(cell + padding + " ")
		}
		fmt.Fprintln(c.out, strings.TrimRight(line.String(), " "))
	}
}

// writeColumns fills the terminal with short names, downwards.
func writeColumns(c *call, rows [][]string) {
	width := 1
	for _, row := range rows {
		width = max(width, utf8.RuneCountInString(row[0])+2)
	}
	across := max(1, c.columns/width)
	down := (len(rows) + across - 1) / across
	for i := range down {
		line := ""
		for j := i; j < len(rows); j += down {
			line += rows[j][0] + strings.Repeat(" ", width-utf8.RuneCountInString(rows[j][0]))
		}
		fmt.Fprintln(c.out, strings.TrimRight(line, " "))
	}
}
