package kerneltree

import "strings"

// Blacklist are the names of modules that no alias shall load.
type Blacklist map[string]bool

// AddModprobe reads a file of modprobe.d(5) and adds what it keeps from being loaded by an alias: "blacklist NAME", and
// "install NAME" with a command that does nothing, which is how distributions forbid a module. Lines that end in a
// backslash go on in the next one; all other words are for a running system and passed over.
func (b Blacklist) AddModprobe(text []byte) {
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	_ = eachLine([]byte(joined), func(_ int, line string) error {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "blacklist",
			len(words) == 3 && words[0] == "install" && isNothing(words[2]):
			b[Normalize(words[1])] = true
		}
		return nil
	})
}

// Has tells whether a module is listed.
func (b Blacklist) Has(module string) bool { return b[Normalize(module)] }

func isNothing(command string) bool {
	switch command {
	case "/bin/true", "/bin/false", "/usr/bin/true", "/usr/bin/false", "true", "false":
		return true
	}
	return false
}
