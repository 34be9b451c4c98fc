package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
)

func TestParseSettings(t *testing.T) {
	for name, c := range map[string]struct {
		text            string
		sysext, confext []string
	}{
		"empty":        {text: ""},
		"comments":     {text: "# a\n; b\n\n"},
		"one":          {text: "[ConfExt]\nRequire=00-default\n", confext: []string{"00-default"}},
		"no line end":  {text: "[SysExt]\nRequire=tool", sysext: []string{"tool"}},
		"several":      {text: "[ConfExt]\nRequire = a  b\tc\nRequire=d\n[SysExt]\nRequire=e\n[ConfExt]\nRequire=f", confext: []string{"a", "b", "c", "d", "f"}, sysext: []string{"e"}},
		"continued":    {text: "[ConfExt]\nRequire=a \\\n b\n", confext: []string{"a", "b"}},
		"empty value":  {text: "[ConfExt]\nRequire=a\nRequire=\n", confext: []string{"a"}},
		"empty header": {text: "[ConfExt]\n[SysExt]\n"},
		"CRLF":         {text: "[ConfExt]\r\nRequire=a b\r\n", confext: []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			settings, err := ParseSettings([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := settings.Required[osrelease.ClassConfext]; !slices.Equal(got, c.confext) {
				t.Errorf("confexts %q", got)
			}
			if got := settings.Required[osrelease.ClassSysext]; !slices.Equal(got, c.sysext) {
				t.Errorf("sysexts %q", got)
			}
		})
	}
}

func TestParseSettingsRefusesWhatIsNotUnderstood(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown section":        {"[Confext]\nRequire=a\n", "unknown section [Confext]"},
		"unknown empty section":  {"[ConfExt]\nRequire=a\n[Start]\n", "unknown section [Start]"},
		"unknown key":            {"[ConfExt]\nRequires=a\n", "unknown setting Requires= in [ConfExt]"},
		"key in another case":    {"[ConfExt]\nrequire=a\n", "unknown setting require= in [ConfExt]"},
		"known key, then not":    {"[SysExt]\nRequire=a\nMutable=yes\n", "unknown setting Mutable= in [SysExt]"},
		"key before any section": {"Require=a\n[ConfExt]\n", "before any [section]"},
		"no equals sign":         {"[ConfExt]\nRequire a\n", "line 2"},
		"section not closed":     {"[ConfExt\nRequire=a\n", "line 1"},
		"not text":               {"[ConfExt]\nRequire=\x00\n", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSettings([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "read preroot.conf: ") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestParseMountFlags(t *testing.T) {
	settings, err := ParseSettings([]byte("[SysExt]\nMountFlags=/usr nosuid noexec\nMountFlags=/usr exec\n[ConfExt]\nMountFlags=/etc exec dev\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := settings.Flags["/usr"]; got != (FlagChange{Set: mountapi.NoSUID, Clear: mountapi.NoExec}) {
		t.Errorf("%+v", got)
	}
	in := confextInput("no", etc(), "a")
	in.Flags = settings.Flags
	if got := mustMerge(t, in).Overlays[0].Attributes; got != mountapi.NoSUID|mountapi.ReadOnly {
		t.Errorf("%#x", got)
	}
	// What is typed wins.
	noExec := true
	in.NoExec = &noExec
	if got := mustMerge(t, in).Overlays[0].Attributes; got != mountapi.NoSUID|mountapi.NoExec|mountapi.ReadOnly {
		t.Errorf("%#x", got)
	}
	for text, want := range map[string]string{
		"[SysExt]\nMountFlags=/etc exec\n": "want one of /usr, /opt, and flags",
		"[ConfExt]\nMountFlags=/etc\n":     "want one of /etc, and flags",
		"[ConfExt]\nMountFlags=/etc ro\n":  `"ro" is none of exec, noexec`,
	} {
		if _, err := ParseSettings([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte("[ConfExt]\nRequire=00-default user\n[SysExt]\nRequire=\\\ntool\n"))
	f.Add([]byte("[ConfExt\nRequire\n\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		settings, err := ParseSettings(text)
		if err != nil {
			return
		}
		for class, names := range settings.Required {
			for _, name := range names {
				if name == "" || strings.ContainsAny(name, " \t\n") || !strings.Contains(string(text), "Require") {
					t.Errorf("%s %q", class, name)
				}
			}
		}
	})
}
