// Package versionorder compares version strings the way systemd does: for the
// names of extensions, the versions in ".v" directories and partition labels.
//
// The rules are those of the UAPI group's version format specification. They
// are not those of strverscmp(3), of dpkg or of rpm, and not semantic
// versioning: digits rank above letters, so "10-site" is newer than "user",
// and characters outside the known set do not count at all.
package versionorder

// Compare returns -1 if a is older than b, +1 if it is newer and 0 if the
// two are equal in this order. Any string is accepted. Strings that differ can
// be equal ("a_2" and "a2", "01" and "1"); a caller that needs one fixed order must
// break such ties itself.
//
// The runtime is linear in the length of both strings; nothing is allocated.
func Compare(a, b string) int {
	for {
		a, b = skipIgnored(a), skipIgnored(b)

		// "~" marks a pre-release, so it ranks even below the end of a string.
		if result := compareMark(&a, &b, '~'); result != 0 {
			return result
		}
		if a == "" || b == "" {
			return order(len(a), len(b))
		}
		// One after the other and not a loop, as systemd does it: "-^." is taken
		// in one round, and a "~" behind a "~" does not count as one.
		for _, mark := range [...]byte{'-', '^', '.'} {
			if result := compareMark(&a, &b, mark); result != 0 {
				return result
			}
		}

		if startsWith(a, isDigit) || startsWith(b, isDigit) {
			var left, right string
			left, a = cutRun(a, isDigit)
			right, b = cutRun(b, isDigit)
			if result := compareNumbers(left, right); result != 0 {
				return result
			}
			continue
		}
		var left, right string
		left, a = cutRun(a, isLetter)
		right, b = cutRun(b, isLetter)
		if result := compareLetters(left, right); result != 0 {
			return result
		}
	}
}

// compareMark handles one separator: the string that is at it is the older one. If both
// are, both are advanced past it.
func compareMark(a, b *string, mark byte) int {
	atA, atB := at(*a, mark), at(*b, mark)
	switch {
	case atA && atB:
		*a, *b = (*a)[1:], (*b)[1:]
	case atA:
		return -1
	case atB:
		return 1
	}
	return 0
}

// compareNumbers compares two runs of digits of any length. No run at all is
// older than any number, also than 0.
func compareNumbers(a, b string) int {
	if a == "" || b == "" {
		return order(len(a), len(b))
	}
	for at(a, '0') {
		a = a[1:]
	}
	for at(b, '0') {
		b = b[1:]
	}
	if len(a) != len(b) {
		return order(len(a), len(b))
	}
	return compareBytes(a, b)
}

// compareLetters compares two runs of ASCII letters by byte value, so upper
// case is older than lower case; if one is the start of the other, the longer one is newer.
func compareLetters(a, b string) int {
	common := min(len(a), len(b))
	if result := compareBytes(a[:common], b[:common]); result != 0 {
		return result
	}
	return order(len(a), len(b))
}

func compareBytes(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func order(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func skipIgnored(s string) string {
	for s != "" && !counts(s[0]) {
		s = s[1:]
	}
	return s
}

// counts reports whether c has a meaning in a version. Everything else, also
// every byte of a character outside ASCII, is as if it were not there.
func counts(c byte) bool {
	return isDigit(c) || isLetter(c) || c == '~' || c == '-' || c == '^' || c == '.'
}

func cutRun(s string, in func(byte) bool) (run, rest string) {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func startsWith(s string, in func(byte) bool) bool { return s != "" && in(s[0]) }

func at(s string, c byte) bool { return s != "" && s[0] == c }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
