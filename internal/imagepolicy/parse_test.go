package imagepolicy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// All of these systemd 262 refuses, too.
func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"root":                          `"root" has no "="`,
		"pfft":                          `"pfft" has no "="`,
		" ":                             `" " has no "="`,
		" - ":                           `" - " has no "="`,
		"* ":                            `"* " has no "="`,
		"**":                            `"**" has no "="`,
		"~:":                            `"~" has no "="`,
		":":                             `"" has no "="`,
		"root=verity:":                  `"" has no "="`,
		":root=verity":                  `"" has no "="`,
		"root=verity::usr=verity":       `"" has no "="`,
		"root=verity:usr":               `"usr" has no "="`,
		"roott=verity":                  `designator "roott" is not known`,
		"ROOT=verity":                   `designator "ROOT" is not known`,
		"ro ot=verity":                  `designator "ro ot" is not known`,
		"*=verity":                      `designator "*" is not known`,
		`"root"=verity`:                 `designator "\"root\"" is not known`,
		"\vroot=verity":                 `designator "\vroot" is not known`,
		"root\u00a0=verity":             `designator "root\u00a0" is not known`,
		"bogus=bogus":                   `designator "bogus" is not known`,
		"root=sigend":                   `flag "sigend" of root is not known`,
		"root=Verity":                   `flag "Verity" of root is not known`,
		"root=verity,signed":            `flag "verity,signed" of root is not known`,
		"root=verity signed":            `flag "verity signed" of root is not known`,
		"root=verity+":                  `flag "" of root is not known`,
		"root=+verity":                  `flag "" of root is not known`,
		"=+":                            `flag "" of the default is not known`,
		"root=verity+-":                 `flag "-" of root is not known`,
		"root=--":                       `flag "--" of root is not known`,
		"root==verity":                  `flag "=verity" of root is not known`,
		"root=verity=usr":               `flag "verity=usr" of root is not known`,
		"root=verity\v":                 `flag "verity\v" of root is not known`,
		"root=ext3":                     `flag "ext3" of root is not known`,
		"root=verity:root=signed":       `root is there more than once`,
		"root=verity: root =verity":     `root is there more than once`,
		"root=:root=":                   `root is there more than once`,
		"root=-:usr=:root=-":            `root is there more than once`,
		"=verity:=verity":               `the default is there more than once`,
		"=:root=verity: =":              `the default is there more than once`,
		"=ignore:=open":                 `the default is there more than once`,
		"root=\x1b[2J":                  `flag "\x1b[2J" of root is not known`,
		strings.Repeat("x", 1000) + "=": `designator "` + strings.Repeat("x", 40) + `" is not known`,
	} {
		p, err := Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), "parse image policy: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) gives %v, want %q", text, err, want)
		}
		if p != (Policy{}) {
			t.Errorf("Parse(%q) gives the policy %s beside its error", text, p)
		}
	}
}

func TestParseWhiteSpace(t *testing.T) {
	want := mustParse(t, "root=verity+signed:=absent")
	for _, text := range []string{
		" root = verity + signed : = absent ", "\troot\n=\r\nverity\t+ signed:\t=absent\n", "root= verity+signed :=absent",
	} {
		if got := mustParse(t, text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"root= - ", "root= ", "root=\t"} {
		if got := mustParse(t, text).For(Root) & Open; got != Open {
			t.Errorf("%q allows %s, want open", text, got)
		}
	}
}

func TestParseEveryWord(t *testing.T) {
	for _, d := range designators {
		if p := mustParse(t, string(d)+"=absent"); p.For(d) != Absent {
			t.Errorf("%s=absent is %s", d, p)
		}
	}
	for name, want := range map[string]Flags{
		"verity": Verity, "signed": Signed, "encrypted": Encrypted, "encryptedwithintegrity": EncryptedWithIntegrity,
		"unprotected": Unprotected, "unused": Unused, "absent": Absent,
		"open": Open, "ignore": Ignore, "read-only-on": Open | ReadOnlyOn, "read-only-off": Open | ReadOnlyOff,
		"growfs-on": Open | GrowFSOn, "growfs-off": Open | GrowFSOff,
		"btrfs": Open | BtrFS, "erofs": Open | EROFS, "ext4": Open | Ext4, "f2fs": Open | F2FS, "squashfs": Open | SquashFS,
		"vfat": Open | VFAT, "xfs": Open | XFS,
	} {
		want = effective(Root, want)
		if got := mustParse(t, "root="+name).For(Root); got != want {
			t.Errorf("root=%s allows %s, want %s", name, got, want)
		}
	}
}

func TestParseGraceful(t *testing.T) {
	for text, want := range map[string]struct {
		policy   string
		warnings []string // parts of them
	}{
		"":                              {"-", nil},
		"*":                             {"*", nil},
		"root=signed+absent":            {"root=signed+absent", nil},
		"bogus=verity":                  {"-", []string{`designator "bogus"`}},
		"bogus=x+y:root=verity":         {"root=verity", []string{`designator "bogus"`}},
		"bogus=verity:bogus=verity":     {"-", []string{`"bogus"`, `"bogus"`}},
		"root=verity+later:usr=+signed": {"root=verity:usr=signed", []string{`flag "later" of root is not known`, `flag "" of usr`}},
		"root=a+signed+b+absent:later=": {"root=signed+absent", []string{`"a"`, `"b"`, `"later"`}},
		"=later+absent":                 {"~", []string{`flag "later" of the default is not known`}},
		"root=sigend":                   {"root=open", []string{`flag "sigend" of root is not known; every use is allowed now`}},
		"root=sigend+erofs":             {"root=open+erofs", []string{`every use`}},
		"root=a+b":                      {"root=open", []string{`"a" of root is not known`, `"b" of root is not known; every use`}},
		"=later":                        {"*", []string{`flag "later" of the default is not known; every use`}},
		"root=verity:root=verity":       {"~", []string{`root is there more than once; nothing is allowed now`}},
		"=open:=open":                   {"~", []string{`the default is there more than once; nothing`}},
		"bogus=:root=open:usr":          {"~", []string{`"bogus"`, `"usr" has no "="; nothing`}},
		"root=open:":                    {"~", []string{`nothing is allowed`}},
		" *":                            {"~", []string{`nothing is allowed`}},
		"root=\x1b]0;x\a":               {"root=open", []string{`"\x1b]0;x\a"`}},
	} {
		p, warnings := ParseGraceful(text)
		if p.String() != want.policy {
			t.Errorf("%q is %s, want %s", text, p, want.policy)
		}
		if len(warnings) != len(want.warnings) {
			t.Errorf("%q gives the warnings %q, want %q", text, warnings, want.warnings)
			continue
		}
		for i, part := range want.warnings {
			if !strings.Contains(warnings[i], part) {
				t.Errorf("%q gives the warning %q, want %q", text, warnings[i], part)
			}
		}
	}
	if _, warnings := ParseGraceful("root=a+verity:usr=b"); strings.Contains(warnings[0], "every use") {
		t.Errorf("%q, but verity alone is allowed", warnings[0])
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "-", "*", "~", " root = verity + signed : =absent", "root=signed+absent:usr=signed+absent", "root-verity=verity:root=open+ext4:=ext4",
		"root=:root=", "root=read-only-on+growfs-off+growfs-on:usr-verity-sig=unused:=-", "home=signed\xff", "=:=", "a=b+c:root",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lenient, warnings := ParseGraceful(text)
		for _, warning := range warnings {
			if strings.ContainsFunc(warning, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("warning %q", warning)
			}
		}
		p, err := Parse(text)
		if (err == nil) != (len(warnings) == 0) {
			t.Fatalf("%v, but warnings %q", err, warnings)
		}
		if err != nil {
			p = lenient
		} else if p != lenient {
			t.Fatalf("%s, but %s gracefully", p, lenient)
		}
		again, err := Parse(p.String())
		if err != nil || !again.sameEffect(p) || again.String() != p.String() {
			t.Fatalf("%q becomes %q, and that %q (%v)", text, p, again, err)
		}
		for _, d := range designators {
			for bits := range 1 << 7 {
				set := func(i int) bool { return bits>>i&1 != 0 }
				checkUse(t, p, d, Found{set(0), set(1), set(2), set(3), set(4), set(5), set(6)})
			}
		}
	})
}

// checkUse compares a judgement with what must hold under every policy.
func checkUse(t *testing.T, p Policy, d Designator, f Found) {
	t.Helper()
	use, err := p.Judge(d, f)
	allowed := p.For(d)
	var refused *Error
	bad := ""
	switch {
	case err != nil && (!errors.As(err, &refused) || !sameUse(use, Use{}) || refused.Reason == "" || !slices.Contains(designators[:], refused.Designator)):
		bad = "no proper error"
	case err != nil:
	case use.Ignored && !sameUse(use, Use{Ignored: true}):
		bad = "ignored and used"
	case use.Ignored && f.Present && allowed&Unused == 0:
		bad = "ignored, which is not allowed"
	case use.Ignored:
	case !f.Present:
		bad = "used, but not there"
	case use.Verity && (!f.Verity || !use.VerityAllowed && !use.SignatureAllowed):
		bad = "verity without what it takes"
	case !use.Verity && (use.VerityAllowed || use.SignatureAllowed):
		bad = "something is allowed for verity that is not set up"
	case use.VerityAllowed && allowed&Verity == 0, use.SignatureAllowed && allowed&Signed == 0, use.UnprotectedAllowed && allowed&Unprotected == 0:
		bad = "more than the policy allows"
	case !use.Verity && !use.UnprotectedAllowed && !(f.Encrypted && allowed&Encrypted != 0):
		bad = "used without protection, which is not allowed"
	}
	if bad != "" {
		t.Errorf("%s: Judge(%s, %+v) = %+v, %v: %s", p, d, f, use, err, bad)
	}
}
