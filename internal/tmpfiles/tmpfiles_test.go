package tmpfiles

import (
	"fmt"
	"path"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	lines, err := Parse([]byte(`
# a comment
d   /boot       -       -   -   -   -
D!  /run/x      1777    root  :core  10d
L   /var/run    -       -   -   -   ../run
f   "/etc/a b"  :0640   0   0   -   one\n two\\ 
C-  //opt/./bin/  - - - - /usr/share/opt bin
z   /var/log/journal  2755 root systemd-journal - -
d	/100%%	:0700 :core
x /tmp/x
R! /tmp/*
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Line{
		{Number: 3, Type: 'd', Path: "/boot"},
		{Number: 4, Type: 'D', BootOnly: true, Path: "/run/x", Mode: 0o1777, HasMode: true, User: "root", Group: "core", NewGroup: true},
		{Number: 5, Type: 'L', Path: "/var/run", Argument: "../run"},
		{Number: 6, Type: 'f', Path: "/etc/a b", Mode: 0o640, HasMode: true, NewMode: true, User: "0", Group: "0", Argument: "one\n two\\"},
		{Number: 7, Type: 'C', Path: "/opt/bin", Argument: "/usr/share/opt bin"},
		{Number: 8, Type: 'z', Path: "/var/log/journal", Mode: 0o2755, HasMode: true, User: "root", Group: "systemd-journal"},
		{Number: 9, Type: 'd', Path: "/100%", Mode: 0o700, HasMode: true, NewMode: true, User: "core", NewUser: true},
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("lines\n%+v\nwant\n%+v", lines, want)
	}
}

func TestRefusals(t *testing.T) {
	for line, want := range map[string]string{
		"v /var/x":                           `type 'v'`,
		"a /var/x - - - - u:1:r":             `type 'a'`,
		"w /proc/x - - - - 1":                `type 'w'`,
		"p /run/x":                           `type 'p'`,
		"é /run/x":                           "not supported",
		"L+ /etc/x - - - - y":                `modifier '+'`,
		"f= /etc/x":                          `modifier '='`,
		"f~ /etc/x":                          `modifier '~'`,
		"f^ /etc/x":                          `modifier '^'`,
		"d /run/%m":                          "specifiers",
		"L /run/x - - - - %t/y":              "specifiers",
		"z /dev/tty* 0600":                   "patterns",
		`"" /x`:                              "no type",
		"d relative":                         "not absolute",
		"d":                                  "not absolute",
		"d /a/../b":                          "'..'",
		"d /a ~0755":                         "mode",
		"d /a 99":                            "mode",
		"d /a 10000":                         "mode",
		"d /a 0755 %u":                       "user or group",
		"L /a":                               "argument is missing",
		"C /a - - - - -":                     "argument is missing",
		`d "/a`:                              "not closed",
		`d "/a"b`:                            "behind a closing quote",
		`d /a"b c" x`:                        "quote inside",
		`d /a\x20b`:                          "backslashes",
		`f /a - - - - x\q`:                   "escape",
		`f /a - - - - x\`:                    "escape",
		"d /a\x00b":                          "zero byte",
		"d /" + strings.Repeat("a", maxLine): "longer",
	} {
		lines, err := Parse([]byte("d /good\n" + line + "\nd /fine\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", line, err, want)
		}
		if len(lines) != 2 {
			t.Errorf("%.40q: %d good lines", line, len(lines))
		}
	}
	_, err := Parse([]byte(strings.Repeat("bad\n", 1000)))
	if err == nil || strings.Count(err.Error(), "\n") != maxErrors || !strings.HasSuffix(err.Error(), fmt.Sprintf("and %d more lines", 1000-maxErrors)) {
		t.Errorf("many errors: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("d /boot - - - - -\nL /var/run - - - - ../run\nf /x :0640 :0 0 - a\\n\n"))
	f.Add([]byte("z \"/a b\" 2755 'root' core 10d\nq /x\nC! /opt - - - - /usr/x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines, _ := Parse(text)
		for _, l := range lines {
			if !strings.HasPrefix(l.Path, "/") || path.Clean(l.Path) != l.Path || strings.Contains(l.Path, "\x00") {
				t.Errorf("path %q", l.Path)
			}
			if strings.IndexByte("dDLfCz", l.Type) < 0 || l.Mode > 0o7777 || l.Number < 1 {
				t.Errorf("line %+v", l)
			}
		}
	})
}
