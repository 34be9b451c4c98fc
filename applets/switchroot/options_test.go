package switchroot

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want options
	}{
		{"/sysroot /sbin/init", options{newRoot: "/sysroot", program: []string{"/sbin/init"}}},
		{"/sysroot /sbin/init --help -c x", options{newRoot: "/sysroot", program: []string{"/sbin/init", "--help", "-c", "x"}}},
		{"-c /dev/console /sysroot /sbin/init", options{newRoot: "/sysroot", program: []string{"/sbin/init"}, console: "/dev/console"}},
		{"-c/dev/tty1 --check -- -odd /init", options{newRoot: "-odd", program: []string{"/init"}, console: "/dev/tty1", check: true}},
		{"--console=/dev/tty1 . init", options{newRoot: ".", program: []string{"init"}, console: "/dev/tty1"}},
		{"--console /dev/tty1 - init", options{newRoot: "-", program: []string{"init"}, console: "/dev/tty1"}},
	} {
		got, done, err := parse(strings.Fields(c.line))
		if err != nil || done || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, %v", c.line, got, done, err)
		}
	}
}

// The texts are those of util-linux 2.38.
func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"":                            "not enough arguments",
		"/sysroot":                    "not enough arguments",
		"-- /sysroot":                 "not enough arguments",
		"--nosuch /sysroot /init":     "unrecognized option '--nosuch'",
		"--\x1b[2J /sysroot /init":    `unrecognized option '--\x1b[2J'`,
		"-x /sysroot /init":           "invalid option -- 'x'",
		"-c":                          "option '-c' requires an argument",
		"--console":                   "option '--console' requires an argument",
		"--consoles=x /sysroot /init": "unrecognized option '--consoles=x'",
	} {
		if _, done, err := parse(strings.Fields(line)); done || err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v, want %s", line, done, err, want)
		}
	}
	if _, _, err := parse([]string{"", ""}); err == nil {
		t.Error("empty words are taken")
	}
	for text := range strings.Lines(usage) {
		if len(text) > 81 {
			t.Errorf("too long: %s", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-c\x00/dev/console\x00/sysroot\x00/init")
	f.Add("--\x00x\x00y")
	f.Fuzz(func(t *testing.T, line string) {
		// The two that print are left out.
		if strings.Contains(line, "-h") || strings.Contains(line, "-V") {
			return
		}
		o, _, err := parse(strings.Split(line, "\x00"))
		if err == nil && (o.newRoot == "" || len(o.program) == 0) {
			t.Errorf("%q: %+v", line, o)
		}
	})
}
