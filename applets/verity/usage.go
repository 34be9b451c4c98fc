package verity

import (
	"fmt"
	"path"
	"strings"
)

// compatibleWith is the version of cryptsetup whose behaviour this is.
const compatibleWith = "2.8.8"

// versionText starts as the original's does, since scripts take the second word
// for the version of what they can expect.
const versionText = "veritysetup " + compatibleWith + " compatible: preroot verity"

// The layout of popt(3)'s help.
const (
	helpColumn = 39
	helpWidth  = 79
)

// helpText is what --help prints: the original's text, then ours.
func helpText(program string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nUsage: %s [OPTION...] <action> <action-specific>\n\nHelp options:\n", versionText, path.Base(program))
	for _, table := range [][]option{textOptions, optionTable} {
		for _, o := range table {
			writeOption(&b, o)
		}
	}
	b.WriteString("\nOptions of preroot:\n")
	for _, o := range ownOptions {
		writeOption(&b, o)
	}
	b.WriteString("\n<action> is one of:\n")
	for _, a := range actionTable {
		if !a.ours {
			fmt.Fprintf(&b, "\t%s %s - %s\n", a.name, a.described, a.help)
		}
	}
	b.WriteString(`
<name> is the device to create under /dev/mapper
<data_device> is the data device
<hash_device> is the device containing verification data
<root_hash> hash of the root node on <hash_device>

Default compiled-in dm-verity parameters:
	Hash: sha256, Data block (bytes): 4096, Hash block (bytes): 4096, Salt size: 32, Hash format: 1

Actions of preroot:
	open --root-hash=hex <name> - find the partitions by the root hash, open them as <name>
`)
	for _, a := range actionTable {
		if a.ours {
			fmt.Fprintf(&b, "\t%s %s - %s\n", a.name, a.described, a.help)
		}
	}
	b.WriteString(`
Exit codes: 1 wrong parameters, or a wrong root hash where no error correction data is
given; 2 a block does not verify; 3 out of memory; 4 wrong device; 5 device exists or is busy.
`)
	return b.String()
}

func writeOption(b *strings.Builder, o option) {
	left := "      --" + o.long
	if o.short != 0 {
		left = fmt.Sprintf("  -%c, --%s", o.short, o.long)
	}
	if o.argument != "" {
		left += "=" + o.argument
	}
	lines := wrap(o.help, helpWidth-helpColumn)
	for i, line := range lines {
		if i > 0 {
			left = ""
		}
		fmt.Fprintf(b, "%-*s%s\n", helpColumn, left, line)
	}
}

// wrap cuts text between words into lines of at most width bytes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// usageText is what --usage prints, and what stands before the message about a
// wrong command line: all options of the original, without ours.
func usageText(program string) string {
	words := []string{"[-?Vv]"}
	for _, table := range [][]option{textOptions, optionTable} {
		for _, o := range table {
			word := "--" + o.long
			if o.short != 0 {
				word = fmt.Sprintf("-%c|%s", o.short, word)
			}
			if o.argument != "" {
				word += "=" + o.argument
			}
			words = append(words, "["+word+"]")
		}
	}
	words = append(words, "[OPTION...] <action> <action-specific>")
	text := "Usage: " + path.Base(program) + " " + words[0]
	cursor := len(text)
	for _, word := range words[1:] {
		if cursor+len(word)+1 > helpWidth {
			text += "\n       "
			cursor = len("       ")
		}
		text += " " + word
		// popt counts a column more than it prints.
		cursor += len(word) + 2
	}
	return text + "\n"
}
