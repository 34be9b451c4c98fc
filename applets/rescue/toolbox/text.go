package toolbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// count reads the number of head and tail: also -5 in the place of -n 5, and the sign of "+5" or "-5".
func (c *call) count(spec string) (set options, names []string, n int64, sign byte, bytes bool, err error) {
	if len(c.Arguments) > 1 && len(c.Arguments[1]) > 1 && c.Arguments[1][0] == '-' && c.Arguments[1][1] >= '0' && c.Arguments[1][1] <= '9' {
		c.Arguments = append([]string{c.name, "-n", c.Arguments[1][1:]}, c.Arguments[2:]...)
	}
	if set, names, err = c.parse(spec); err != nil {
		return
	}
	text := "10"
	if letter := set.last("nc"); letter != 0 {
		text, _ = set.value(letter)
		bytes = letter == 'c'
	}
	if text != "" && (text[0] == '+' || text[0] == '-') {
		sign, text = text[0], text[1:]
	}
	if n, err = parseSize(text); err != nil {
		err = wrongUse("%v", err)
	}
	return
}

// title separates the files of several.
func (c *call) title(set options, names []string, name string, first *bool) {
	if len(names) < 2 && !set.has("v") || set.has("q") {
		return
	}
	if !*first {
		fmt.Fprintln(c.out)
	}
	*first = false
	fmt.Fprintf(c.out, "==> %s <==\n", c.text(name))
}

// head prints the first lines, or with -c the first bytes.
func head(c *call) error {
	set, names, n, sign, bytes, err := c.count("c:/bytes n:/lines q/quiet v/verbose")
	if err != nil {
		return err
	}
	if sign == '-' {
		return wrongUse("all but the last lines cannot be told before the end; use tail")
	}
	first := true
	c.eachInput(names, func(name string, r io.Reader) error {
		c.title(set, names, name, &first)
		if bytes {
			_, err := io.CopyN(c.out, r, n)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
		left := n
		if left == 0 {
			return nil
		}
		return eachLine(r, func(line []byte) error {
			if _, err := fmt.Fprintf(c.out, "%s\n", line); err != nil {
				return err
			}
			if left--; left == 0 {
				return errEnough
			}
			return nil
		})
	})
	return nil
}

// maxTail bounds what tail keeps, in bytes.
const maxTail = 64 << 20

// tail prints the last lines or bytes; -f waits for more.
func tail(c *call) error {
	set, names, n, sign, bytes, err := c.count("c:/bytes f/follow n:/lines q/quiet v/verbose")
	if err != nil {
		return err
	}
	first := true
	c.eachInput(names, func(name string, r io.Reader) error {
		c.title(set, names, name, &first)
		if err := c.lastPart(r, n, sign, bytes); err != nil {
			return err
		}
		c.flush()
		file, ok := r.(*os.File)
		for set.has("f") && ok && c.Err() == nil {
			time.Sleep(200 * time.Millisecond)
			if _, err := io.Copy(c.Stdout, file); err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

// lastPart prints the end of an input: the last n, or all from the nth on if the sign is "+".
func (c *call) lastPart(r io.Reader, n int64, sign byte, bytes bool) error {
	if sign == '+' {
		skip := max(n-1, 0)
		if bytes {
			if _, err := io.CopyN(io.Discard, r, skip); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			_, err := io.Copy(c.out, r)
			return err
		}
		return eachLine(r, func(line []byte) error {
			if skip > 0 {
				skip--
				return nil
			}
			_, err := fmt.Fprintf(c.out, "%s\n", line)
			return err
		})
	}
	if bytes {
		return c.lastBytes(r, n)
	}
	var lines []string
	size := 0
	err := eachLine(r, func(line []byte) error {
		lines = append(lines, string(line))
		size += len(line)
		for int64(len(lines)) > n || size > maxTail {
			size -= len(lines[0])
			lines = lines[1:]
		}
		return c.Err()
	})
	for _, line := range lines {
		fmt.Fprintln(c.out, line)
	}
	return err
}

func (c *call) lastBytes(r io.Reader, n int64) error {
	var kept []byte
	buf := make([]byte, 64<<10)
	for {
		got, err := r.Read(buf)
		kept = append(kept, buf[:got]...)
		if over := int64(len(kept)) - min(n, maxTail); over > 0 {
			kept = append(kept[:0], kept[over:]...)
		}
		if errors.Is(err, io.EOF) {
			_, err = c.out.Write(kept)
			return err
		}
		if err != nil {
			return err
		}
	}
}

// wc counts lines, words and bytes.
func wc(c *call) error {
	set, names, err := c.parse("c/bytes l/lines m/chars w/words")
	if err != nil {
		return err
	}
	letters := ""
	for _, letter := range "lwmc" {
		if set.has(string(letter)) || len(set) == 0 && letter != 'm' {
			letters += string(letter)
		}
	}
	var rows [][]string
	total := map[rune]int64{}
	add := func(name string, counts map[rune]int64) {
		var row []string
		for _, letter := range letters {
			row = append(row, fmt.Sprint(counts[letter]))
		}
		rows = append(rows, append(row, name))
	}
	c.eachInput(names, func(name string, r io.Reader) error {
		counts, err := countAll(r)
		for letter, n := range counts {
			total[letter] += n
		}
		if len(names) == 0 {
			name = ""
		}
		add(c.text(name), counts)
		return err
	})
	if len(names) > 1 {
		add("total", total)
	}
	writeTable(c, rows, func(column int) bool { return column < len(letters) })
	return nil
}

func countAll(r io.Reader) (map[rune]int64, error) {
	counts := map[rune]int64{}
	buf := make([]byte, 64<<10)
	inWord := false
	for {
		n, err := r.Read(buf)
		counts['c'] += int64(n)
		for _, char := range buf[:n] {
			if char == '\n' {
				counts['l']++
			}
			if utf8.RuneStart(char) {
				counts['m']++
			}
			space := strings.IndexByte(" \t\n\v\f\r", char) >= 0
			if !space && !inWord {
				counts['w']++
			}
			inWord = !space
		}
		if errors.Is(err, io.EOF) {
			return counts, nil
		}
		if err != nil {
			return counts, err
		}
	}
}
