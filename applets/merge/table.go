package merge

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// table is text in columns, as systemd prints it: all but the last one padded, one space between them.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) text(legend bool) string {
	rows := t.rows
	if legend {
		rows = append([][]string{t.header}, rows...)
	}
	widths := make([]int, len(t.header))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell
			if i < len(row)-1 {
				line += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+1)
			}
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// timestamp is a time as systemd writes it, "-" for none.
func timestamp(usec uint64) string {
	if usec == 0 {
		return "-"
	}
	return time.UnixMicro(int64(usec)).Format("Mon 2006-01-02 15:04:05 MST")
}

// member is one of an object; objects keep their order.
type member struct {
	name  string
	value any // string, uint64, bool, nil, []any, object
}

type object []member

// printJSON prints a value as systemd does: "pretty" with tabs, "short" on one line.
func (s *session) printJSON(value any) {
	var b strings.Builder
	writeJSON(&b, value, s.json == "pretty", 0)
	fmt.Fprintln(s.stdout, b.String())
}

func writeJSON(b *strings.Builder, value any, pretty bool, depth int) {
	separate := func(first bool) {
		if !first {
			b.WriteByte(',')
		}
		if pretty {
			b.WriteString("\n" + strings.Repeat("\t", depth+1))
		}
	}
	end := func() {
		if pretty {
			b.WriteString("\n" + strings.Repeat("\t", depth))
		}
	}
	switch value := value.(type) {
	case nil:
		b.WriteString("null")
	case string:
		b.WriteString(quoteJSON(value))
	case []any:
		b.WriteByte('[')
		for i, element := range value {
			separate(i == 0)
			writeJSON(b, element, pretty, depth+1)
		}
		if len(value) > 0 {
			end()
		}
		b.WriteByte(']')
	case object:
		b.WriteByte('{')
		for i, m := range value {
			separate(i == 0)
			b.WriteString(quoteJSON(m.name))
			if pretty {
				b.WriteString(" : ")
			} else {
				b.WriteByte(':')
			}
			writeJSON(b, m.value, pretty, depth+1)
		}
		if len(value) > 0 {
			end()
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, value)
	}
}

func quoteJSON(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// list makes an array of strings.
func list(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}
