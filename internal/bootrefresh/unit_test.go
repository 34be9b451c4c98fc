package bootrefresh

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/osrelease"
)

func TestParseLibraryName(t *testing.T) {
	for name, want := range map[string]int{
		"libsystemd-shared-257.so":            257,
		"libsystemd-shared-257.9-1.fc42.so":   257,
		"libsystemd-shared-262~rc1-2.so":      262,
		"libsystemd-shared-260^20260101.so":   260,
		"libsystemd-shared-252-38.so":         252,
		"libsystemd-shared-.so":               0,
		"libsystemd-shared-257":               0,
		"libsystemd-shared-257.so.0":          0,
		"libsystemd-shared-257a.so":           0,
		"libsystemd-shared-x257.so":           0,
		"libsystemd-shared-99999999999999.so": 0,
		"libsystemd-shared--1.so":             0,
		"libsystemd-core-257.so":              0,
		"":                                    0,
	} {
		if got := parseLibraryName(name); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
}

func FuzzParseLibraryName(f *testing.F) {
	f.Add("libsystemd-shared-257.9-1.fc42.so")
	f.Fuzz(func(t *testing.T, name string) {
		if version := parseLibraryName(name); version < 0 || version > 9999 {
			t.Errorf("%q: %d", name, version)
		}
	})
}

func TestUnitText(t *testing.T) {
	const search = "/run/preroot/boot-refresh/confext"
	for name, c := range map[string]struct {
		texts        []string
		program      string
		want, absent string // of the drop-in
		err          string
	}{
		"systemd's": {
			texts:   []string{"[Unit]\nDescription=x\n[Service]\nType=oneshot\nExecStart=systemd-confext refresh\nExecReload=systemd-confext refresh\nExecStop=systemd-confext unmerge\n"},
			program: "systemd-confext",
			want:    "\n[Service]\nExecSearchPath=" + search + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n", absent: "ExecStart",
		},
		"with a path": {
			texts:   []string{"[Service]\nExecStart=/usr/lib/systemd/systemd-confext refresh\n"},
			program: "/usr/lib/systemd/systemd-confext",
			want:    "\nExecSearchPath=" + search + ":/usr/lib/systemd\nExecStart=\nExecStart=systemd-confext refresh\n", absent: "/usr/bin",
		},
		"reset":            {texts: []string{"[Service]\nExecStart=/bin/false\n", "[Service]\nExecStart=\nExecStart=systemd-confext  refresh\n"}, program: "systemd-confext"},
		"other sections":   {texts: []string{"[Install]\nExecStart=x\n[Service]\nExecStart=systemd-confext refresh\n"}, program: "systemd-confext"},
		"two":              {texts: []string{"[Service]\nExecStart=systemd-confext refresh\nExecStart=/bin/x\n"}, err: "2 commands"},
		"added by drop-in": {texts: []string{"[Service]\nExecStart=systemd-confext refresh\n", "[Service]\nExecStart=/bin/x"}, err: "2 commands"},
		"none":             {texts: []string{"[Service]\nType=oneshot\n"}, err: "0 commands"},
		"removed":          {texts: []string{"[Service]\nExecStart=systemd-confext refresh\nExecStart=\n"}, err: "0 commands"},
		"merge":            {texts: []string{"[Service]\nExecStart=systemd-confext merge\n"}, err: "not the refresh that is known"},
		"options":          {texts: []string{"[Service]\nExecStart=systemd-confext refresh --mutable=yes\n"}, err: "not the refresh that is known"},
		"option first":     {texts: []string{"[Service]\nExecStart=systemd-confext --force refresh\n"}, err: "not the refresh that is known"},
		"prefix":           {texts: []string{"[Service]\nExecStart=-systemd-confext refresh\n"}, err: "not the refresh that is known"},
		"prefix and path":  {texts: []string{"[Service]\nExecStart=+/usr/bin/systemd-confext refresh\n"}, err: "not the refresh that is known"},
		"other class":      {texts: []string{"[Service]\nExecStart=systemd-sysext refresh\n"}, err: "not the refresh that is known"},
		"shell":            {texts: []string{"[Service]\nExecStart=/bin/sh -c 'systemd-confext refresh'\n"}, err: "not the refresh that is known"},
		"specifier":        {texts: []string{"[Service]\nExecStart=/%h/systemd-confext refresh\n"}, err: "not the refresh that is known"},
		"odd path":         {texts: []string{"[Service]\nExecStart=/usr/../systemd-confext refresh\n"}, err: "not the refresh that is known"},
		"relative path":    {texts: []string{"[Service]\nExecStart=bin/systemd-confext refresh\n"}, err: "not the refresh that is known"},
		"search path":      {texts: []string{"[Service]\nExecSearchPath=/opt\nExecStart=systemd-confext refresh\n"}, err: "sets ExecSearchPath="},
		"broken":           {texts: []string{"[Service]\nExecStart systemd-confext\n"}, err: "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			unit, err := readTexts(c.texts...)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%+v, %v; want %q", unit, err, c.err)
				}
				return
			}
			if err != nil || unit.Program != c.program {
				t.Fatalf("%+v, %v", unit, err)
			}
			text := unit.dropIn(osrelease.ClassConfext)
			if !strings.Contains(text, c.want) || c.absent != "" && strings.Contains(text, c.absent) {
				t.Errorf("drop-in:\n%s", text)
			}
		})
	}
}

func readTexts(texts ...string) (*Unit, error) {
	var commands []string
	for _, text := range texts {
		var err error
		if commands, err = readCommands(commands, []byte(text)); err != nil {
			return nil, err
		}
	}
	return parseCommands(osrelease.ClassConfext, commands)
}

// FuzzUnit: whatever a unit says, the drop-in has no line that it did not have before.
func FuzzUnit(f *testing.F) {
	f.Add("[Service]\nExecStart=systemd-confext refresh\n")
	f.Add("[Service]\nExecStart=/usr/bin/systemd-confext refresh\n")
	f.Add("[Service]\nExecStart=/\u2028/systemd-confext refresh\n")
	f.Fuzz(func(t *testing.T, text string) {
		unit, err := readTexts(text)
		if err != nil {
			return
		}
		lines := 5
		if unit.Absolute {
			lines = 7
		}
		if got := unit.dropIn(osrelease.ClassConfext); strings.Count(got, "\n") != lines || strings.ContainsAny(got, "\r\x00%$") {
			t.Errorf("drop-in %q", got)
		}
	})
}

func TestClassOf(t *testing.T) {
	for file, want := range map[string]osrelease.Class{
		"/run/preroot/boot-refresh/confext/systemd-confext":           osrelease.ClassConfext,
		"/run/preroot/boot-refresh/sysext/systemd-sysext":             osrelease.ClassSysext,
		"/run/preroot/boot-refresh/sysext/systemd-confext":            "",
		"/run/preroot/boot-refresh/confext/systemd-confext (deleted)": "",
		"/usr/bin/systemd-confext":                                    "",
		"/init":                                                       "",
		"":                                                            "",
	} {
		if got := ClassOf(file); got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}
