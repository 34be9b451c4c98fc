package plan

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseEtcRules(t *testing.T) {
	flatcar, _ := etcPreset("flatcar")
	changed := flatcar
	changed.Users = []string{"root", "core", "ops"}
	changed.OptOut = ""
	changed.Tmpfiles = []string{"/usr/lib/tmpfiles.d/base.conf", "/usr/share/x/y.conf"}
	for text, want := range map[string]EtcRules{
		"[ConfExt]\nRequire=x\n":         {},
		"[EtcRules]\n":                   {},
		"[EtcRules]\nPreset=flatcar\n":   flatcar,
		"[EtcRules]\nPreset=\nUsers=a\n": {Users: []string{"a"}},
		"[EtcRules]\nUsers=ops\nOptOut=\nTmpfiles=\nTmpfiles=base.conf /usr/share/x/y.conf\nPreset=flatcar\n": changed,
		"[EtcRules]\nReference=/usr/share/etc\nBlankMachineId=00000000000000000000000000000000\nResetFlag=/reset\n": {
			Reference: "/usr/share/etc", BlankMachineID: "00000000000000000000000000000000", ResetFlag: "/reset",
		},
	} {
		settings, err := ParseSettings([]byte(text))
		if err != nil || !reflect.DeepEqual(settings.EtcRules, want) {
			t.Errorf("%q: %+v, %v", text, settings.EtcRules, err)
		}
	}
	if again, _ := etcPreset("flatcar"); len(again.Users) != 2 || !reflect.DeepEqual(again, flatcar) {
		t.Error("the preset was changed")
	}
	if flatcar.IsSet() != true || (&EtcRules{Users: []string{"a"}, OptOut: "/etc/x"}).IsSet() {
		t.Error("IsSet")
	}
}

func TestBadEtcRules(t *testing.T) {
	for text, want := range map[string]string{
		"Preset=coreos":         "not known",
		"Reference=/etc":        "below /usr/",
		"Reference=/usr/../etc": "below /usr/",
		"Reference=usr/share":   "below /usr/",
		"Reference=/usr/":       "below /usr/",
		"MutableLink=/etc/x":    "below /var/lib/extensions.mutable/",
		"NoWhiteouts=/run/x":    "below /usr/",
		"Accounts=/etc":         "below /usr/",
		"OptOut=/usr/x":         "below /etc/",
		"ResetFlag=reset":       "below /",
		"ResetFlag=/":           "below /",
		"Tmpfiles=../x":         "below /usr/",
		"Users=a:b":             "no name",
		"Groups=-x":             "no name",
		"BlankMachineId=42":     "32 hexadecimal",
		"Refrence=/usr/share/x": "unknown setting",
	} {
		if _, err := ParseSettings([]byte("[EtcRules]\n" + text + "\n")); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "preroot.conf") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
