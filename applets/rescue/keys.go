package rescue

import "strings"

// Keys that the editor knows.
const ctrlA, ctrlC, ctrlE, ctrlU, escape = 1, 3, 5, 21, 27

// keySequences are what terminals send for keys that the editor knows by another name: the console of Linux, the VT220 and
// its followers, and terminals in application mode.
var keySequences = []struct{ sent, known string }{
	{"\x1b[1~", string(rune(ctrlA))}, {"\x1b[7~", string(rune(ctrlA))}, {"\x1bOH", string(rune(ctrlA))},
	{"\x1b[4~", string(rune(ctrlE))}, {"\x1b[8~", string(rune(ctrlE))}, {"\x1bOF", string(rune(ctrlE))},
	{"\x1bOA", "\x1b[A"}, {"\x1bOB", "\x1b[B"}, {"\x1bOC", "\x1b[C"}, {"\x1bOD", "\x1b[D"},
	// A word to the left or right, with Ctrl instead of Alt.
	{"\x1b[1;5C", "\x1b[1;3C"}, {"\x1b[1;5D", "\x1b[1;3D"},
}

// longestSequence bounds what is held back as the beginning of a sequence, in bytes.
const longestSequence = 8

// keys turns what terminals send into what the editor knows.
type keys struct {
	// ready is for the editor, held the beginning of a sequence whose end has not come yet.
	ready, held []byte
}

// add takes what was typed. It reports whether that was Ctrl-C, which the editor would take for the end: here it empties the
// line, and what was typed behind it is dropped, as a terminal does.
func (k *keys) add(typed []byte) (interrupted bool) {
	for _, c := range typed {
		if c == ctrlC {
			k.held = nil
			k.ready = append(k.ready, ctrlE, ctrlU, '\r')
			return true
		}
		if len(k.held) == 0 && c != escape {
			k.ready = append(k.ready, c)
			continue
		}
		k.held = append(k.held, c)
		text := string(k.held)
		switch known := translateKey(text); {
		case known != "":
			k.ready, k.held = append(k.ready, known...), nil
		case !isSequenceStart(text) || len(text) >= longestSequence:
			k.ready, k.held = append(k.ready, text...), nil
		}
	}
	return false
}

// translateKey returns what the editor knows a sequence as, "" for one that is not in the table.
func translateKey(sent string) string {
	for _, sequence := range keySequences {
		if sequence.sent == sent {
			return sequence.known
		}
	}
	return ""
}

// isSequenceStart reports whether a longer text may be a known sequence.
func isSequenceStart(text string) bool {
	for _, sequence := range keySequences {
		if strings.HasPrefix(sequence.sent, text) {
			return true
		}
	}
	return false
}
