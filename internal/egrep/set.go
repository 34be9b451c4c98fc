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

// class returns those of POSIX in ASCII, nil if there is none of that name.
func class(name string) [][2]rune {
	switch name {
	case "alpha":
		return [][2]rune{{'A', 'Z'}, {'a', 'z'}}
	case "digit":
		return [][2]rune{{'0', '9'}}
	case "alnum":
		return [][2]rune{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}
	case "upper":
		return [][2]rune{{'A', 'Z'}}
	case "lower":
		return [][2]rune{{'a', 'z'}}
	case "space":
		return [][2]rune{{'\t', '\r'}, {' ', ' '}}
	case "blank":
		return [][2]rune{{'\t', '\t'}, {' ', ' '}}
	case "punct":
		return [][2]rune{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}
	case "print":
		return [][2]rune{{' ', '~'}}
	case "graph":
		return [][2]rune{{'!', '~'}}
	case "cntrl":
		return [][2]rune{{0, 0x1f}, {0x7f, 0x7f}}
	case "xdigit":
		return [][2]rune{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}
	}
	return nil
}

// escaped returns what a letter behind a backslash stands for, nil if it is none of those known here.
func escaped(letter rune) *set {
	switch letter {
	case 'w', 'W':
		return &set{ranges: append(class("alnum"), [2]rune{'_', '_'}), negated: letter == 'W', doubtful: true}
	case 's', 'S':
		return &set{ranges: class("space"), negated: letter == 'S', doubtful: true}
	}
	return nil
}
