package imagepolicy

import "testing"

func TestDefault(t *testing.T) {
	const flags = "verity+signed+encrypted+encryptedwithintegrity+unprotected+absent"
	if got, want := Default(true).String(), "root="+flags+":usr="+flags; got != want {
		t.Errorf("sysext: got %s, want %s", got, want)
	}
	if got, want := Default(false).String(), "root="+flags; got != want {
		t.Errorf("confext: got %s, want %s", got, want)
	}
	for _, sysext := range []bool{true, false} {
		signed := Found{Present: true, Verity: true, Signature: true}
		for _, f := range []Found{{}, {Present: true}, {Present: true, Verity: true}, signed, {Present: true, Encrypted: true}} {
			use, err := Default(sysext).Judge(Root, f)
			if err != nil || use.Ignored == f.Present || use.Verity != f.Verity || use.VerityAllowed != f.Verity {
				t.Errorf("root %+v: %+v, %v", f, use, err)
			}
		}
		if use, err := Default(sysext).Judge(Usr, signed); err != nil || use.Ignored == sysext {
			t.Errorf("usr: %+v, %v", use, err)
		}
		if use, err := Default(sysext).Judge(Home, Found{Present: true}); err != nil || !use.Ignored {
			t.Errorf("home: %+v, %v", use, err)
		}
	}
}

func TestForInitrdExtra(t *testing.T) {
	const sysext, confext = "root=signed+absent:usr=signed+absent", "root=signed+absent"
	for path, want := range map[string]string{
		"/.extra/sysext/a.raw":         sysext,
		"/.extra/global_sysext/a.raw":  sysext,
		"/.extra/sysext/a.raw.v/b.raw": sysext,
		"/.extra//sysext/a.raw":        sysext,
		"/.extra/confext/a.raw":        confext,
		"/.extra/global_confext/a.raw": confext,
		".extra/confext/a.raw":         confext,
		"/.extra/a.raw":                "~",
		"/.extra/sysexts/a.raw":        "~",
		"/.extra/sysext.raw":           "~",
		"/.extra/credentials/a.raw":    "~",
		"/.extra/global_/a.raw":        "~",
		"/.extra/sysext/../a.raw":      "~",
		"/x/../.extra/a.raw":           "~",
		"/.extra":                      "~",
		"/.extras/sysext/a.raw":        "",
		"/extra/sysext/a.raw":          "",
		"/var/lib/extensions/a.raw":    "",
		"/run/.extra/sysext/a.raw":     "",
		"/.extra/../run/extensions/a":  "",
		"/":                            "",
		"":                             "",
	} {
		for _, class := range []bool{true, false} {
			p, ok := ForInitrdExtra(class, path)
			if ok != (want != "") || ok && p.String() != want {
				t.Errorf("%q: got %s, %v; want %q", path, p, ok, want)
			}
			if !ok && p != (Policy{}) {
				t.Errorf("%q: got the policy %s all the same", path, p)
			}
		}
	}
}
