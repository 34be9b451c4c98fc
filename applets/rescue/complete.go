package rescue

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/bootlog"
)

// completer completes the word in front of a place of a line, in bytes. It returns the line and place after that, and what
// the word may become if there is more than one way and nothing to add.
type completer func(line string, at int) (completed string, place int, choices []string)

// completion knows what there is to complete with.
type completion struct {
	// commands returns the names that a command may begin with.
	commands func() []string
	// dir is the working directory.
	dir func() string
}

// wordBreaks end a word of the shell, commandBreaks also begin another command.
const (
	wordBreaks    = " \t|;&<>()"
	commandBreaks = "|;&("
	// quoted are characters that must not stand in a word as they are.
	quoted = wordBreaks + "\\'\"$`*?[]{}#~"
)

// commandWords are words of the shell behind which a command follows.
var commandWords = []string{"if", "then", "elif", "else", "while", "until", "do", "!", "{", "time", "exec", "command"}

// complete is the completer.
func (c completion) complete(line string, at int) (string, int, []string) {
	before, after := line[:at], line[at:]
	w := lastWord(before)
	if w.open {
		// Inside of quotes it is text.
		return line, at, nil
	}
	var found []string
	switch {
	case w.first && !strings.Contains(w.value, "/"):
		found = matching(c.commands(), w.value)
	case w.command == "help":
		found = matching(c.commands(), w.value)
	default:
		found = c.files(w.value)
	}
	if len(found) == 0 {
		return line, at, nil
	}
	more := commonStart(found)[len(w.value):]
	text := quote(more)
	if len(found) == 1 && !strings.HasSuffix(found[0], "/") && !strings.HasPrefix(after, " ") {
		text += " "
	}
	if text == "" && len(found) > 1 {
		return line, at, found
	}
	return before + text + after, at + len(text), nil
}

// word is the one that is being typed.
type word struct {
	// value is what it stands for.
	value string
	// first says that it names a command; otherwise command does.
	first   bool
	command string
	// open says that a quote was not closed.
	open bool
}

// lastWord finds the word at the end of a line. It knows quotes, and no more of the language than where commands begin.
func lastWord(line string) word {
	w := word{first: true}
	var value strings.Builder
	var quote byte
	begun, isQuoted := false, false
	end := func() {
		if !begun {
			return
		}
		text := value.String()
		switch {
		case w.first && !isQuoted && (slices.Contains(commandWords, text) || isAssignment(text)):
		case w.first:
			w.first, w.command = false, text
		}
		value.Reset()
		begun, isQuoted = false, false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			value.WriteByte(c)
		case c == '\\' && i+1 < len(line):
			i++
			value.WriteByte(line[i])
			begun, isQuoted = true, true
		case c == '\\':
			w.open = true
			return w
		case c == '\'' || c == '"':
			if quote == 0 {
				quote = c
			} else {
				quote = 0
			}
			begun, isQuoted = true, true
		case strings.IndexByte(wordBreaks, c) >= 0:
			end()
			if strings.IndexByte(commandBreaks, c) >= 0 {
				w.first, w.command = true, ""
			} else if (c == '<' || c == '>') && w.first {
				// A file comes first, and then still the command; that is rare enough.
				w.first = false
			}
		default:
			value.WriteByte(c)
			begun = true
		}
	}
	w.value, w.open = value.String(), quote != 0
	return w
}

// isAssignment reports whether a word in front of a command sets a variable.
func isAssignment(word string) bool {
	name, _, found := strings.Cut(word, "=")
	return found && name != "" && !strings.ContainsAny(name, quoted+"/")
}

func matching(names []string, start string) (found []string) {
	for _, name := range names {
		if strings.HasPrefix(name, start) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// files returns the paths that begin so, directories with a slash behind them. Names that cannot be typed are left out.
func (c completion) files(start string) (found []string) {
	above, begin := path.Split(start)
	dir := above
	if !path.IsAbs(dir) {
		dir = filepath.Join(c.dir(), dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		name := entry.Name()
		hidden := strings.HasPrefix(name, ".") && !strings.HasPrefix(begin, ".")
		if hidden || !strings.HasPrefix(name, begin) || bootlog.Printable(name) != name {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			name += "/"
		}
		found = append(found, above+name)
	}
	slices.Sort(found)
	return found
}

// programs returns the names in the directories of a PATH.
func programs(list string) (names []string) {
	for _, dir := range filepath.SplitList(list) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if bootlog.Printable(entry.Name()) == entry.Name() {
				names = append(names, entry.Name())
			}
		}
	}
	return names
}

// commonStart returns what all texts begin with. It does not cut a character in two.
func commonStart(texts []string) string {
	common := []rune(texts[0])
	for _, text := range texts[1:] {
		n := 0
		for _, r := range text {
			if n == len(common) || common[n] != r {
				break
			}
			n++
		}
		common = common[:n]
	}
	return string(common)
}

// quote writes a part of a word as it has to be typed.
func quote(text string) string {
	var w strings.Builder
	for i := range len(text) {
		if strings.IndexByte(quoted, text[i]) >= 0 {
			w.WriteByte('\\')
		}
		w.WriteByte(text[i])
	}
	return w.String()
}

// mostRows bounds a list of choices: a screen has 25 lines.
const mostRows = 20

// listChoices renders names in columns of one screen. Paths are shortened to what differs.
func listChoices(choices []string) string {
	const columns = 79
	width := 0
	names := make([]string, len(choices))
	for i, choice := range choices {
		dir := strings.LastIndex(strings.TrimSuffix(choice, "/"), "/") + 1
		names[i] = choice[dir:]
		width = max(width, len(names[i])+2)
	}
	across := max(1, columns/width)
	var w strings.Builder
	for i, name := range names {
		if i == across*mostRows {
			fmt.Fprintf(&w, "... and %d more\n", len(names)-i)
			return w.String()
		}
		if i%across == across-1 || i == len(names)-1 {
			fmt.Fprintf(&w, "%s\n", name)
		} else {
			fmt.Fprintf(&w, "%-*s", width, name)
		}
	}
	return w.String()
}
