package toolbox

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// result is what a call ended with.
type result struct {
	code     int
	out, err string
}

// run runs a command in a directory. Words are those between blanks; "_" in one stands for a blank.
func run(t testing.TB, dir, stdin, line string) result {
	t.Helper()
	var words []string
	for word := range strings.FieldsSeq(line) {
		words = append(words, strings.ReplaceAll(word, "_", " "))
	}
	return runWords(t, dir, stdin, words)
}

func runWords(t testing.TB, dir, stdin string, words []string) result {
	t.Helper()
	command, found := Lookup(words[0])
	if !found {
		t.Fatalf("there is no %s", words[0])
	}
	var out, complaints bytes.Buffer
	code := command.Run(t.Context(), Call{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &complaints, Dir: dir, Arguments: words})
	return result{code, out.String(), complaints.String()}
}

// step is one call and what it has to end with.
type step struct {
	line, stdin string
	code        int
	out         string
	// err is a part of what it complains; nothing stands for nothing.
	err string
}

func runSteps(t *testing.T, dir string, steps []step) {
	t.Helper()
	for _, s := range steps {
		got := run(t, dir, s.stdin, s.line)
		if dir != "" {
			got.out = strings.ReplaceAll(got.out, dir, "DIR")
		}
		if got.code != s.code || got.out != s.out || (s.err == "") != (got.err == "") || !strings.Contains(got.err, s.err) {
			t.Errorf("%s: %d, %q, %q; want %d, %q, %q", s.line, got.code, got.out, got.err, s.code, s.out, s.err)
		}
	}
}

// write makes files, and directories of names that end in "/".
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t testing.TB, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheTable(t *testing.T) {
	groups := []string{SeeWhatFailed, LookAtTheDisk, RepairVerity, Files, Network, System}
	names := Names()
	for _, want := range strings.Fields("base64 blkid cat chmod chroot cp dd dmesg find free grep gzip ip less ls lsblk lsmod mkdir mktemp modprobe mount mv ping poweroff ps reboot rm shasum sync tar touch umount uname xargs") {
		if !slices.Contains(names, want) {
			t.Errorf("no %s", want)
		}
	}
	for i, name := range names {
		c, found := Lookup(name)
		if !found || c.Name != name || !slices.Contains(groups, c.Group) || !strings.HasPrefix(c.Usage+" ", name+" ") || i > 0 && names[i-1] == name {
			t.Errorf("%+v, %v", c, found)
		}
		// They ask for the usage alone, so that this is safe for reboot.
		if got := run(t, "", "", name+" --help"); got.code != 0 || got.out != "usage: "+c.Usage+"\n" || got.err != "" {
			t.Errorf("%s --help: %+v", name, got)
		}
		got := run(t, "", "", name+" --no-such-option")
		if name == "reboot" || name == "halt" || name == "poweroff" || name != "sleep" && name != "kill" && name != "dd" {
			if got.code == 0 || !strings.Contains(got.err, "usage: "+c.Usage) {
				t.Errorf("%s --no-such-option: %+v", name, got)
			}
		}
	}
	if _, found := Lookup("nothing"); found {
		t.Error("there is a command that is not there")
	}
}

func TestOptions(t *testing.T) {
	const spec = "a/all n:/lines v/verbose"
	for line, want := range map[string]string{
		"x -a b":            "a= | b",
		"x b -a":            "a= | b",
		"x -av -n 5 f":      "a= v= n=5 | f",
		"x -an5 f":          "a= n=5 | f",
		"x --all --lines=7": "a= n=7 | ",
		"x --lines 7 --al":  "n=7 a= | ",
		"x -- -a":           " | -a",
		"x - -a":            "a= | -",
		"x -x":              "there is no option -x",
		"x -n":              "option -n needs a value",
		"x --lines":         "option --lines needs a value",
		"x --all=3":         "option --all takes no value",
		"x --":              " | ",
		"x --nothing":       "there is no option --nothing",
	} {
		c := &call{Call: Call{Arguments: strings.Fields(line)}}
		set, operands, err := c.parse(spec)
		var words []string
		for _, g := range set {
			words = append(words, string(g.letter)+"="+g.value)
		}
		got := strings.Join(words, " ") + " | " + strings.Join(operands, " ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	c := &call{Call: Call{Arguments: []string{"x", "-a", "cmd", "-a"}}}
	if set, operands, err := c.parse("+" + spec); err != nil || len(set) != 1 || len(operands) != 2 {
		t.Errorf("%v, %q, %v", set, operands, err)
	}
}

func FuzzOptions(f *testing.F) {
	f.Add("-an5 --lines=3 -- x")
	f.Fuzz(func(t *testing.T, line string) {
		c := &call{Call: Call{Arguments: append([]string{"x"}, strings.Split(line, " ")...)}}
		set, operands, err := c.parse("a/all n:/lines v/verbose")
		if err == nil && len(set)+len(operands) > len(line)+1 {
			t.Errorf("%q: %v, %q", line, set, operands)
		}
	})
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "5": 5, "1k": 1024, "4K": 4096, "1kB": 1000, "2M": 2 << 20, "1MB": 1e6, "1GiB": 1 << 30, "2b": 1024, "3w": 6, "2x512": 1024, "7c": 7,
		"": -1, "K": -1, "-1": -1, "1Q": -1, "1KK": -1, "9E": -1, "8E": -1, "1xx2": -1, "9223372036854775807": -1, "4000000000x4000000000": -1} {
		got, err := parseSize(text)
		if (err == nil) != (want >= 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for size, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1.0K", 1025: "1.1K", 10240: "10K", 10241: "11K", 1 << 20: "1.0M", 1<<20 - 1: "1.0M", 5 << 30: "5.0G", 1<<63 - 1: "8.0E"} {
		if got := humanSize(size); got != want {
			t.Errorf("%d: %s, want %s", size, got, want)
		}
	}
	for size, want := range map[int64]string{512: "512B", 1 << 30: "1G", 3 << 29: "1.5G", 64 << 20: "64M", 1<<20 - 512: "1023.5K"} {
		if got := diskSize(size); got != want {
			t.Errorf("%d: %s, want %s", size, got, want)
		}
	}
}

func FuzzSizes(f *testing.F) {
	f.Add("2x512k")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseSize(text); err == nil && n < 0 {
			t.Errorf("%q: %d", text, n)
		}
		if n, err := blockSize(text); err == nil && (n < 1 || n > maxBlock) {
			t.Errorf("%q: %d", text, n)
		}
	})
}
