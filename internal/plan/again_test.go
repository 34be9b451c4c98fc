package plan

import "testing"

func TestPlansAreCompared(t *testing.T) {
	const line = "rw roothash=" + testHash + " systemd.verity_root_options=fec-device=/dev/vdb,fec-roots=2"
	for word, want := range map[string]struct{ usr, root bool }{
		"":                                  {true, true},
		"rd.timeout=7":                      {true, true},
		"init=/bin/sh":                      {true, true},
		"mount.usrflags=ro,noatime":         {false, true},
		"systemd.verity_usr_data=/dev/vda9": {false, true},
		"fsck.mode=skip":                    {true, false},
		"rootfstype=xfs":                    {true, false},
	} {
		before, again := planLine(t, wholeLine), planLine(t, wholeLine+" "+word)
		if usr, root := again.HasUsrOf(before), again.HasRootOf(before); usr != want.usr || root != want.root {
			t.Errorf("%s: %v, %v", word, usr, root)
		}
	}
	before, again := planLine(t, line), planLine(t, line)
	if before.RootVolume == nil || before.RootVolume == again.RootVolume || !again.HasRootOf(before) {
		t.Errorf("%+v, %+v", before.RootVolume, again.RootVolume)
	}
	again.RootVolume.Options.FEC.Roots = 3
	if again.HasRootOf(before) {
		t.Error("other parity is not seen")
	}
}
