package egrep

// set is a set of characters.
type set struct {
	all     bool
	ranges  [][2]rune
	negated bool
	// doubtful: a class of characters is in it, and which of those beyond ASCII belong to a class depends on the locale.
	doubtful bool
}

func (s *set) has(r rune) bool {
	if s.all || (s.doubtful && r >= 0x80) {
		return true
	}
	for _, span := range s.ranges {
		if span[0] <= r && r <= span[1] {
			return !s.negated
		}
	}
	return s.negated
}

func single(r rune) *set { return &set{ranges: [][2]rune{{r, r}}} }

// classes are those of POSIX in ASCII.
var classes = map[string][][2]rune{
	"alpha":  {{'A', 'Z'}, {'a', 'z'}},
	"digit":  {{'0', '9'}},
	"alnum":  {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}},
	"upper":  {{'A', 'Z'}},
	"lower":  {{'a', 'z'}},
	"space":  {{'\t', '\r'}, {' ', ' '}},
	"blank":  {{'\t', '\t'}, {' ', ' '}},
	"punct":  {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}},
	"print":  {{' ', '~'}},
	"graph":  {{'!', '~'}},
	"cntrl":  {{0, 0x1f}, {0x7f, 0x7f}},
	"xdigit": {{'0', '9'}, {'A', 'F'}, {'a', 'f'}},
}

// word is what \w stands for, space what \s does.
var (
	word  = append([][2]rune{{'_', '_'}}, classes["alnum"]...)
	space = classes["space"]
)

// escaped returns what a letter behind a backslash stands for, nil if it is none of those known here.
func escaped(letter rune) *set {
	switch letter {
	case 'w', 'W':
		return &set{ranges: word, negated: letter == 'W', doubtful: true}
	case 's', 'S':
		return &set{ranges: space, negated: letter == 'S', doubtful: true}
	}
	return nil
}
