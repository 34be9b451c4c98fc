package imagepolicy

import (
	"errors"
	"fmt"
	"strings"
)

// whiteSpace is what systemd strips from words; other blanks belong to them.
const whiteSpace = " \t\n\r"

// Parse reads a policy: entries DESIGNATOR=FLAG+FLAG... with ":" between them, where "=FLAG+FLAG..." is the default for all
// other designators; without one it is "ignore". No flag for the use, or "-" for all, allows every use.
// As the whole text, "" and "-" ignore everything, "*" allows everything and "~" wants everything absent.
//
// Errors name the word that is wrong: one that is not known, or a designator that was there before.
func Parse(text string) (Policy, error) {
	p, unknown, err := parse(text)
	if err == nil && len(unknown) > 0 {
		err = errors.New(unknown[0])
	}
	if err != nil {
		return Policy{}, fmt.Errorf("parse image policy: %w", err)
	}
	return p, nil
}

// ParseGraceful reads a policy from a configuration file, which may be made for a newer systemd: words that are not known
// are left out. Each gives a warning, which is fit for a terminal. As with systemd, flags that are all left out are as
// none: every use is then allowed.
//
// What is no policy at all becomes the one under which nothing may be there ("~"), with a warning. systemd gives up the
// configuration file in this case, and so comes to allow more than was asked for.
func ParseGraceful(text string) (p Policy, warnings []string) {
	p, unknown, err := parse(text)
	if err != nil {
		return Policy{otherwise: Absent}, append(unknown, fmt.Sprintf("%v; nothing is allowed now", err))
	}
	return p, unknown
}

// parse leaves words out that are not known, and returns what there is to say about them.
func parse(text string) (p Policy, unknown []string, err error) {
	switch text {
	case "", "-":
		return p, nil, nil
	case "*":
		return Policy{otherwise: Open}, nil, nil
	case "~":
		return Policy{otherwise: Absent}, nil, nil
	}
	for entry := range strings.SplitSeq(text, ":") {
		name, list, ok := strings.Cut(entry, "=")
		if !ok {
			return p, unknown, fmt.Errorf("%s has no \"=\"", quote(entry))
		}
		name = strings.Trim(name, whiteSpace)
		place := &p.otherwise
		if name != "" {
			i := Designator(name).index()
			if i < 0 {
				unknown = append(unknown, fmt.Sprintf("designator %s is not known", quote(name)))
				continue
			}
			place = &p.entries[i]
		} else {
			name = "the default"
		}
		if *place != 0 {
			return p, unknown, fmt.Errorf("%s is there more than once", name)
		}
		flags, left := parseFlags(list)
		for i, word := range left {
			message := fmt.Sprintf("flag %s of %s is not known", quote(word), name)
			if i == len(left)-1 && flags&Open == 0 {
				message += "; every use is allowed now"
			}
			unknown = append(unknown, message)
		}
		*place = canonical(flags)
	}
	return p, unknown, nil
}

// parseFlags returns the flags of a list, and the words that are none.
func parseFlags(list string) (flags Flags, unknown []string) {
	list = strings.Trim(list, whiteSpace)
	if list == "" || list == "-" {
		return 0, nil
	}
next:
	for name := range strings.SplitSeq(list, "+") {
		name = strings.Trim(name, whiteSpace)
		for _, word := range flagNames {
			if word.name == name {
				flags |= word.flags
				continue next
			}
		}
		unknown = append(unknown, name)
	}
	return flags, unknown
}

// quote makes a word fit for a line on a terminal.
func quote(word string) string {
	return fmt.Sprintf("%.40q", word)
}
