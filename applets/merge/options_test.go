package merge

import (
	"bytes"
	"strings"
	"testing"
)

// call runs the applet without touching anything: what is tried here ends before a root is opened.
func call(arguments ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	s := &session{stdout: &out, stderr: &err, lookupEnv: func(string) (string, bool) { return "", false }}
	code = s.run(append([]string{"systemd-confext"}, arguments...))
	return code, out.String(), err.String()
}

// The texts are systemd 262's, but for those of the commands and options that it has not.
func TestCommandLineErrors(t *testing.T) {
	for arguments, want := range map[string]string{
		"bogus":                       "Unknown command verb 'bogus'.",
		"--bogus":                     "systemd-confext: unrecognized option '--bogus'",
		"-x":                          "systemd-confext: unrecognized option '-x'",
		"--no":                        "systemd-confext: option '--no' is ambiguous",
		"--mutable=bogus merge":       "Failed to parse argument to --mutable=: bogus",
		"--json=foo":                  "Unknown argument to --json= switch: foo",
		"status extra":                "Too many arguments.",
		"explain":                     "Too few arguments.",
		"--noexec=maybe merge":        "Failed to parse boolean argument to '--noexec': maybe",
		"--always-refresh=x":          "Failed to parse boolean argument to '--always-refresh': x",
		"--image-policy=bad merge":    "Failed to parse image policy: bad (",
		"--root":                      "systemd-confext: option '--root' requires an argument",
		"--root=/nonexistent status":  "Failed to open root directory '/nonexistent': No such file or directory",
		"--force=yes merge":           "systemd-confext: option '--force' doesn't allow an argument",
		"--class=portable status":     "Failed to parse argument to --class=: portable",
		"-- --help":                   "Unknown command verb '--help'.",
		"merge --image-policy root=x": "Failed to parse image policy: root=x (",
	} {
		code, stdout, stderr := call(strings.Fields(arguments)...)
		if code != 1 || stdout != "" || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d, %q, %q, want %q", arguments, code, stdout, stderr, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for arguments, want := range map[string]string{
		"--mutable=help":    "Known mutability modes:\nno\nyes\nauto\nimport\nephemeral\nephemeral-import\n",
		"--json=help":       "pretty\nshort\noff\n",
		"--version":         "systemd 262 (preroot)\n",
		"--ver":             "systemd 262 (preroot)\n",
		"-h":                "systemd-confext [OPTION…] COMMAND …\n\nMerge configuration extension images into /etc/.\n",
		"help":              "systemd-confext [OPTION…] COMMAND …\n",
		"merge --help":      "systemd-confext [OPTION…] COMMAND …\n",
		"--class=sysext -h": "systemd-confext [OPTION…] COMMAND …\n\nMerge system extension images into /usr/ and /opt/.\n",
	} {
		code, stdout, stderr := call(strings.Fields(arguments)...)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, want) {
			t.Errorf("%s: %d, %q, %q", arguments, code, stdout, stderr)
		}
	}
}

func TestOptionsAreRead(t *testing.T) {
	s := &session{}
	text, err := s.parse(strings.Fields("refresh --root=/ --mutable true --noexec no --force --strict --always-refresh=1 --no-leg --json short --no-pager --no-reload"))
	if text != "" || err != nil {
		t.Fatal(text, err)
	}
	if s.command != "refresh" || s.root != "" || s.mutable != "yes" || s.noExec == nil || *s.noExec || !s.force || !s.strict || !s.alwaysRefresh || !s.noLegend ||
		s.json != "short" || !s.noReload {
		t.Errorf("%+v", s.options)
	}
	s = &session{}
	if _, err := s.parse(nil); err != nil || s.command != "status" {
		t.Errorf("%q, %v", s.command, err)
	}
}

func TestJSON(t *testing.T) {
	value := []any{object{{"a", "x\"\\\n\x01ü"}, {"b", []any{}}, {"c", list([]string{"1", "2"})}, {"d", nil}, {"e", uint64(5)}, {"f", true}}, object{}}
	for format, want := range map[string]string{
		"short":  `[{"a":"x\"\\\n\u0001ü","b":[],"c":["1","2"],"d":null,"e":5,"f":true},{}]` + "\n",
		"pretty": "[\n\t{\n\t\t\"a\" : \"x\\\"\\\\\\n\\u0001ü\",\n\t\t\"b\" : [],\n\t\t\"c\" : [\n\t\t\t\"1\",\n\t\t\t\"2\"\n\t\t],\n\t\t\"d\" : null,\n\t\t\"e\" : 5,\n\t\t\"f\" : true\n\t},\n\t{}\n]\n",
	} {
		var out bytes.Buffer
		s := &session{stdout: &out}
		s.json = format
		s.printJSON(value)
		if out.String() != want {
			t.Errorf("%s: %s", format, out.String())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("merge --mutable=yes --image-policy=root=verity")
	f.Add("--json short -- status")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "root") {
			return // would look at the disk
		}
		s := &session{program: "confext"}
		out, err := s.parse(strings.Split(text, " "))
		if err == nil && out == "" && findAction(s.command) == nil {
			t.Errorf("%q: command %q", text, s.command)
		}
	})
}
