package toolbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/preroot/preroot/internal/bootlog"
)

// maxPaged bounds what the pager keeps, in bytes.
const maxPaged = 64 << 20

// less shows a text a screen at a time. Without a terminal it is cat.
func less(c *call) error {
	_, names, err := c.parse("E e F i M m N n R r S X")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		if file, ok := c.Stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			return wrongUse("name a file")
		}
	}
	if c.columns == 0 {
		c.eachInput(names, func(_ string, r io.Reader) error {
			_, err := io.Copy(c.Stdout, r)
			return err
		})
		return nil
	}
	var text bytes.Buffer
	title := strings.Join(names, " ")
	c.eachInput(names, func(_ string, r io.Reader) error {
		n, err := io.Copy(&text, io.LimitReader(r, maxPaged-int64(text.Len())))
		if err == nil && n > 0 && text.Len() == maxPaged {
			err = fmt.Errorf("only the first %d MiB are shown", maxPaged>>20)
		}
		return err
	})
	if text.Len() == 0 {
		return nil
	}
	keys, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("reading keys needs a terminal: %w", err)
	}
	defer keys.Close()
	state, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return err
	}
	defer func() { _ = term.Restore(int(keys.Fd()), state) }()
	columns, rows, err := term.GetSize(int(keys.Fd()))
	if err != nil || columns < 10 || rows < 3 {
		// A serial line knows no size.
		columns, rows = 80, 24
	}
	p := newPager(text.String(), title, columns, rows)
	return p.run(keys, c.Stdout)
}

// pager is a text with a window on it.
type pager struct {
	title         string
	lines         []string // fit the width
	columns, rows int      // rows without the last one
	top           int
	expression    *regexp.Regexp
	backwards     bool
	message       string
}

func newPager(text, title string, columns, rows int) *pager {
	p := &pager{title: bootlog.Printable(title), columns: columns, rows: rows - 1}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		p.lines = append(p.lines, fold(printable(line), columns)...)
	}
	return p
}

// printable makes a line fit for the terminal; tabs are as wide as they are.
func printable(line string) string {
	var out strings.Builder
	column := 0
	for i, part := range strings.Split(line, "\t") {
		if i > 0 {
			out.WriteString(strings.Repeat(" ", 8-column%8))
			column += 8 - column%8
		}
		part = bootlog.Printable(part)
		out.WriteString(part)
		column += utf8.RuneCountInString(part)
	}
	return out.String()
}

// fold breaks a line into pieces that fit.
func fold(line string, columns int) []string {
	runes := []rune(line)
	pieces := []string{}
	for len(runes) > columns {
		pieces = append(pieces, string(runes[:columns]))
		runes = runes[columns:]
	}
	return append(pieces, string(runes))
}

func (p *pager) last() int { return max(0, len(p.lines)-p.rows) }

func (p *pager) move(by int) { p.top = min(max(p.top+by, 0), p.last()) }

// draw writes the window and the line below it.
func (p *pager) draw(w io.Writer) error {
	var out strings.Builder
	out.WriteString("\x1b[H\x1b[2J")
	for i := range p.rows {
		if at := p.top + i; at < len(p.lines) {
			out.WriteString(p.marked(p.lines[at]))
		} else {
			out.WriteString("~")
		}
		out.WriteString("\r\n")
	}
	status := p.message
	if status == "" {
		status = p.title
		if p.top >= p.last() {
			status = strings.TrimSpace(status + " (END)")
		} else {
			status = strings.TrimSpace(fmt.Sprintf("%s %d%%", status, 100*min(p.top+p.rows, len(p.lines))/len(p.lines)))
		}
		status += "  q quit, space next, b back, /text search, h help"
	}
	out.WriteString("\x1b[7m" + string([]rune(status)[:min(utf8.RuneCountInString(status), p.columns-1)]) + "\x1b[0m")
	p.message = ""
	_, err := io.WriteString(w, out.String())
	return err
}

// marked shows what was searched for.
func (p *pager) marked(line string) string {
	if p.expression == nil {
		return line
	}
	return p.expression.ReplaceAllStringFunc(line, func(found string) string {
		if found == "" {
			return ""
		}
		return "\x1b[7m" + found + "\x1b[0m"
	})
}

const pagerHelp = "q quit; space f PgDn; b PgUp; d u half; enter j k arrows; g G ends; /re ?re n N"

// run reads keys until one ends it.
func (p *pager) run(keys io.Reader, w io.Writer) error {
	for {
		if err := p.draw(w); err != nil {
			return err
		}
		key, err := readKey(keys)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		switch key {
		case "q", "Q", "\x03", "\x04":
			_, err := io.WriteString(w, "\r\x1b[K")
			return err
		case " ", "f", "\x06", "\x16", "\x1b[6~":
			p.move(p.rows)
		case "b", "\x02", "\x1b[5~":
			p.move(-p.rows)
		case "d":
			p.move(p.rows / 2)
		case "u":
			p.move(-p.rows / 2)
		case "\r", "\n", "j", "e", "\x1b[B", "\x1bOB":
			p.move(1)
		case "k", "y", "\x1b[A", "\x1bOA":
			p.move(-1)
		case "g", "<", "\x1b[H", "\x1b[1~":
			p.top = 0
		case "G", ">", "\x1b[F", "\x1b[4~":
			p.top = p.last()
		case "/", "?":
			p.ask(key, keys, w)
		case "n":
			p.search(p.backwards)
		case "N":
			p.search(!p.backwards)
		case "h", "H":
			p.message = pagerHelp
		}
	}
}

// readKey reads one key; what arrows and their like send is one.
func readKey(r io.Reader) (string, error) {
	var key []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if err != nil && n == 0 {
			return "", err
		}
		key = append(key, one[:n]...)
		switch {
		case key[0] != '\x1b', len(key) > 6:
			return string(key), nil
		case len(key) == 2 && key[1] != '[' && key[1] != 'O':
			return string(key), nil
		case len(key) > 2 && (key[len(key)-1] == '~' || key[len(key)-1] >= 'A' && key[len(key)-1] <= 'z'):
			return string(key), nil
		}
	}
}

// ask reads what to search for.
func (p *pager) ask(how string, keys io.Reader, w io.Writer) {
	text := ""
	for {
		if _, err := fmt.Fprintf(w, "\r\x1b[K%s%s", how, bootlog.Printable(text)); err != nil {
			return
		}
		key, err := readKey(keys)
		switch {
		case err != nil || key == "\x03" || key == "\x1b\x1b":
			return
		case key == "\r" || key == "\n":
			p.backwards = how == "?"
			if text != "" {
				expression, err := regexp.Compile(text)
				if err != nil {
					// A text with a bracket in it is meant as it is.
					expression = regexp.MustCompile(regexp.QuoteMeta(text))
				}
				p.expression = expression
			}
			p.search(p.backwards)
			return
		case key == "\x7f" || key == "\b":
			if text == "" {
				return
			}
			text = text[:len(text)-1]
		case key[0] >= ' ' && len(text) < 200:
			text += key
		}
	}
}

// search goes to the next line with what was searched for.
func (p *pager) search(backwards bool) {
	if p.expression == nil {
		p.message = "nothing was searched for yet"
		return
	}
	step := 1
	if backwards {
		step = -1
	}
	for at := p.top + step; at >= 0 && at < len(p.lines); at += step {
		if p.expression.MatchString(p.lines[at]) {
			p.top = min(at, max(len(p.lines)-1, 0))
			return
		}
	}
	p.message = "not found"
}
