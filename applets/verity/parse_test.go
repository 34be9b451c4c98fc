package verity

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestOptionsAreRead(t *testing.T) {
	for _, test := range []struct {
		words string
		want  func(o *options) bool
	}{
		{"format d h", func(o *options) bool { return o.action == "format" && slices.Equal(o.operands, []string{"d", "h"}) }},
		{"format -h sha1 d h", func(o *options) bool { return o.hash == "sha1" }},
		{"format d -hsha1 h", func(o *options) bool { return o.hash == "sha1" && len(o.operands) == 2 }},
		{"-vs ab format d h", func(o *options) bool { return o.verbose && o.salt == "ab" && o.saltGiven }},
		{"--salt ab format d h --salt=cd", func(o *options) bool { return o.salt == "cd" }},
		{"format d h --data-blocks=+5", func(o *options) bool { return o.dataBlocks == 5 }},
		{"format d h --data-blocks=-1", func(o *options) bool { return o.dataBlocks == 1<<64-1 }},
		{"dump -- --json", func(o *options) bool { return !o.json && o.operands[0] == "--json" }},
		{"create n d h r", func(o *options) bool {
			return o.action == "open" && slices.Equal(o.operands, []string{"d", "n", "h", "r"})
		}},
		{"open d n h", func(o *options) bool { return slices.Equal(o.operands, []string{"d", "n", "h"}) }},
		{"remove n", func(o *options) bool { return o.action == "close" }},
		{"--debug dump h", func(o *options) bool { return o.debug && o.verbose }},
		{"-q dump h extra words", func(o *options) bool { return o.action == "dump" }},
		{"open --root-hash 00 n", func(o *options) bool { return o.rootHash == "00" && o.operands[0] == "n" }},
		{"verify d h r", func(o *options) bool {
			return o.dataBlockSize == 4096 && o.format == 1 && o.fecRoots == 2 && o.hash == "sha256"
		}},
	} {
		var o options
		wants, err := parse(strings.Fields(test.words), &o)
		if err != nil || wants != textNone || !test.want(&o) {
			t.Errorf("%s: %+v, %v", test.words, o, err)
		}
	}
}

func TestTextsAreAskedFor(t *testing.T) {
	for words, want := range map[string]requestedText{
		"--help": textHelp, "-?": textHelp, "-v?": textHelp, "--usage": textUsage, "-V": textVersion, "--version dump": textVersion, "-V --nosuch": textVersion,
	} {
		var o options
		if got, err := parse(strings.Fields(words), &o); err != nil || got != want {
			t.Errorf("%s: %v, %v", words, got, err)
		}
	}
}

func TestMisuse(t *testing.T) {
	for words, want := range map[string]string{
		"":                                     "Argument <action> missing.",
		"frobnicate x":                         "Unknown action.",
		"create a":                             "Unknown action.",
		"create a b":                           "open: requires <data_device> <name> <hash_device> [<root_hash>] as arguments",
		"format d":                             "format: requires <data_device> <hash_device> as arguments",
		"verify d":                             "verify: requires <data_device> <hash_device> [<root_hash>] as arguments",
		"remove":                               "close: requires <name> as arguments",
		"--nosuch dump h":                      "!--nosuch: unknown option",
		"--has=sha1 dump h":                    "!--has=sha1: unknown option",
		"-verbose dump h":                      "!-verbose: unknown option",
		"--verbose=1 dump h":                   "!--verbose=1: option does not take an argument",
		"--salt":                               "!--salt: missing argument",
		"-vs":                                  "!-vs: missing argument",
		"--data-blocks= dump h":                "invalid numeric value",
		"--data-blocks=0x10 dump h":            "invalid numeric value",
		"--data-blocks=1M dump h":              "invalid numeric value",
		"--data-blocks=+-5 dump h":             "invalid numeric value",
		"--data-blocks=18446744073709551616 x": "invalid numeric value",
		"--data-block-size=4294967296 dump h":  "invalid numeric value",
		"--fec-roots=-3 dump h":                "invalid numeric value",
		"--max-bad=0 verify d h":               "invalid numeric value",
		"--policy=none open d n h":             "--policy takes signed, verity or any",
		"--certificate= open d n h":            "--certificate needs the name of a file",
		"--deferred verify d h":                "Option --deferred is not allowed with verify action.",
		"--json format d h":                    "Option --json is not allowed with format action.",
		"--deferred --cancel-deferred verify a b":                  "Option --cancel-deferred is not allowed with verify action.",
		"--deferred --cancel-deferred close n":                     "Options --cancel-deferred and --deferred cannot be used at the same time.",
		"--ignore-corruption --restart-on-corruption open a b c":   "Option --ignore-corruption and --restart-on-corruption cannot be used together.",
		"--ignore-corruption --panic-on-corruption open a b c":     "Option --ignore-corruption and --panic-on-corruption cannot be used together.",
		"--panic-on-corruption --restart-on-corruption open a b c": "Option --panic-on-corruption and --restart-on-corruption cannot be used together.",
		"--error-as-corruption open a b c":                         "Option --error-as-corruption must be used with --panic-on-corruption or --restart-on-corruption.",
		"--root-hash=00 open d n h":                                "open: with --root-hash requires <name> and nothing else as arguments",
		"--repair verify d h":                                      "Options --repair and --repair-to need --fec-device.",
		"--repair --repair-to=x --fec-device=f verify d h":         "Options --repair and --repair-to cannot be used together.",
	} {
		var o options
		_, err := parse(strings.Fields(words), &o)
		wrong, ok := errors.AsType[*misuse](err)
		if !ok {
			t.Errorf("%q: %v", words, err)
			continue
		}
		got := wrong.message
		if wrong.anonymous {
			got = "!" + got
		}
		if got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
		// The usage goes before it, on standard error.
		line := want
		if strings.HasPrefix(want, "!") {
			line = want[1:]
		} else {
			line = "veritysetup: " + line
		}
		if said := call(1, strings.Fields(words)...); said.exit != 1 || said.stdout != "" || said.stderr != usageText("veritysetup")+line+"\n" {
			t.Errorf("%q: %+v", words, said)
		}
	}
}

// originalUsage is the text of veritysetup 2.8.8.
const originalUsage = `Usage: veritysetup [-?Vv] [-?|--help] [--usage] [-V|--version]
        [--cancel-deferred] [--check-at-most-once] [--data-block-size=bytes]
        [--data-blocks=blocks] [--debug] [--deferred]
        [--error-as-corruption] [--fec-device=path] [--fec-offset=bytes]
        [--fec-roots=bytes] [--format=number] [-h|--hash=string]
        [--hash-block-size=bytes] [--hash-offset=bytes] [--ignore-corruption]
        [--ignore-zero-blocks] [--no-superblock] [--panic-on-corruption]
        [--restart-on-corruption] [--root-hash-file=STRING]
        [--root-hash-signature=STRING] [-s|--salt=hex string] [--shared]
        [--use-tasklets] [--uuid=STRING] [-v|--verbose]
        [OPTION...] <action> <action-specific>
`

func TestUsageIsTheOriginal(t *testing.T) {
	if got := call(1, "--usage"); got != (outcome{0, "", originalUsage}) {
		t.Errorf("got\n%s%s", got.stdout, got.stderr)
	}
}

func TestHelpHasEverything(t *testing.T) {
	got := call(1, "--help")
	if got.exit != 0 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	for _, table := range [][]option{optionTable, ownOptions, textOptions} {
		for _, o := range table {
			if !strings.Contains(got.stdout, " --"+o.long) {
				t.Errorf("no --%s", o.long)
			}
		}
	}
	for _, line := range []string{
		"      --data-block-size=bytes          Block size on the data device",
		"  -h, --hash=string                    Hash algorithm",
		"      --cancel-deferred                Cancel a previously set deferred device\n                                       removal",
		"\topen <data_device> <name> <hash_device> [<root_hash>] - open device as <name>",
		"\tHash: sha256, Data block (bytes): 4096, Hash block (bytes): 4096, Salt size: 32, Hash format: 1",
	} {
		if !strings.Contains(got.stdout, line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	for i, line := range strings.Split(got.stdout, "\n") {
		if len(line) > 100 {
			t.Errorf("line %d has %d bytes", i+1, len(line))
		}
	}
	if version := call(1, "--version"); !strings.HasPrefix(version.stdout, "veritysetup 2.8.8 ") {
		t.Errorf("version %q", version.stdout)
	}
}

func TestEveryActionExists(t *testing.T) {
	for _, a := range actionTable {
		if findAction(a.name) == nil {
			t.Errorf("%s does nothing", a.name)
		}
	}
	for _, known := range actions {
		if !slices.ContainsFunc(actionTable, func(a action) bool { return a.name == known.name }) {
			t.Errorf("%s cannot be typed", known.name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, words := range []string{"format d h", "-vs ab\nopen\na\nb\nc", "--data-blocks=-1\ndump\nh", "-hV", "--\n--", "-", "-\x00"} {
		f.Add(strings.ReplaceAll(words, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, words string) {
		var o options
		wants, err := parse(strings.Split(words, "\n"), &o)
		if _, ok := errors.AsType[*misuse](err); err != nil && !ok {
			t.Errorf("%v is no misuse", err)
		}
		if err == nil && wants == textNone && (findAction(o.action) == nil || len(o.operands) == 0 && o.action != "trust") {
			t.Errorf("%+v", o)
		}
	})
}
