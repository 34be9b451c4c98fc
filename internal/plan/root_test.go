package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/trust"
)

var otherHash = strings.Repeat("ab", 16) + strings.Repeat("cd", 16)

func TestVerifiedRoot(t *testing.T) {
	for _, words := range []string{"", " root=/dev/mapper/root", " root=gpt-auto", " rw rootflags=rw", " root=gpt-auto-force systemd.gpt_auto=0"} {
		b := planLine(t, "roothash="+testHash+words)
		v := b.RootVolume
		if v == nil || v.Name != "root" || v.Title() != "root" || v.Node() != "/dev/mapper/root" || v.HashWord != "roothash=" ||
			v.Data != (Selector{ByPartUUID, testData}) || v.Hash != (Selector{ByPartUUID, testTree}) || v.OnePartition {
			t.Fatalf("%q: %+v", words, v)
		}
		if !b.Root.IsReadOnly() || b.Root.Device != (Selector{}) || len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "(it is under dm-verity)") {
			t.Errorf("%q: %+v, %q", words, b.Root, b.Warnings)
		}
		if b.Usr.Source != UsrOnRoot || !b.IsUsrVerified() || b.SettingsDirectories()[0] != "/etc/systemd" || len(b.SettingsDirectories()) != 3 {
			t.Errorf("%q: %+v, %q", words, b.Usr, b.SettingsDirectories())
		}
	}
	b := planLine(t, "roothash="+testHash+" systemd.verity_root_data=/dev/vdb systemd.verity_root_hash=/dev/vdc systemd.verity_root_options=hash-offset=4096,restart-on-corruption")
	if v := b.RootVolume; v.Data.Value != "/dev/vdb" || v.Hash.Value != "/dev/vdc" || v.Options.HashOffset != 4096 || v.OptionsWord != "systemd.verity_root_options=" {
		t.Errorf("%+v", v)
	}
}

func TestVerifiedRootBesideUsr(t *testing.T) {
	b := planLine(t, "roothash="+testHash+" usrhash="+otherHash)
	if v := b.Volumes(); len(v) != 2 || v[0] != b.RootVolume || v[1] != b.Usr.Volume || b.Usr.Source != UsrVerity {
		t.Errorf("%+v", v)
	}
	want := []Need{{"dm_verity", "roothash="}, {"dm_verity", "usrhash="}}
	if !slices.Equal(b.Modules, want) {
		t.Errorf("%v", b.Modules)
	}
	// What lies on the root is verified, what /usr brings is not.
	b = planLine(t, "roothash="+testHash+" mount.usr=LABEL=x")
	if got := b.SettingsDirectories(); b.IsUsrVerified() || !slices.Equal(got, []string{"/etc/systemd"}) {
		t.Errorf("%q", got)
	}
}

// TestVolumePolicy: UsrPolicy= is for the device with /usr on it.
func TestVolumePolicy(t *testing.T) {
	settings := Settings{Verity: VeritySettings{UsrPolicy: trust.PolicySigned}}
	for line, want := range map[string][]trust.Policy{
		"roothash=" + testHash:                           {trust.PolicySigned},
		"roothash=" + testHash + " usrhash=" + otherHash: {trust.PolicyAny, trust.PolicySigned},
		wholeLine: {trust.PolicySigned},
	} {
		b, err := PlanBoot(kernelcmdline.Parse(line), settings)
		if err != nil {
			t.Fatal(err)
		}
		var got []trust.Policy
		for _, v := range b.Volumes() {
			got = append(got, b.VolumePolicy(v))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", line, got)
		}
	}
	if _, err := PlanBoot(kernelcmdline.Parse("roothash="+testHash+" mount.usr=LABEL=x"), settings); err == nil {
		t.Error("an unverified /usr beside a verified root, though the image wants it signed")
	}
}

func TestVerifiedRootRefused(t *testing.T) {
	for line, want := range map[string]string{
		"roothash=" + testHash + " root=PARTUUID=" + testRoot:     "is not the device that roothash= opens",
		"roothash=" + testHash[:10]:                               "roothash= is too short",
		"roothash":                                                "roothash without a value",
		"roothash=" + testHash + " systemd.verity=0":              "has roothash=, and switches dm-verity off",
		"root=/dev/mapper/root":                                   "no root hash to open that with",
		"roothash=" + testHash + " systemd.verity_root_data=x":    "systemd.verity_root_data=x: ",
		"roothash=" + testHash + " systemd.verity_root_options=x": "in systemd.verity_root_options= x: this word is not known",
	} {
		_, err := PlanBoot(kernelcmdline.Parse(line), Settings{})
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

func TestWordsWithoutEffect(t *testing.T) {
	b := planLine(t, wholeLine+" systemd.verity_root_data=x verity.usr=y")
	if len(b.Warnings) != 1 || b.Warnings[0] != "systemd.verity_root_data=x is without effect: there is no roothash=" {
		t.Errorf("%q", b.Warnings)
	}
	b = planLine(t, "root=LABEL=x rw systemd.verity_usr_options=ignore-corruption verity.usr=y")
	if len(b.Warnings) != 2 || !strings.HasSuffix(b.Warnings[0], "there is no usrhash=") || !strings.HasSuffix(b.Warnings[1], "there is no verity.usrhash=") {
		t.Errorf("%q", b.Warnings)
	}
}
