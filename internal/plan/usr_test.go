package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/superblock"
	"github.com/preroot/preroot/internal/trust"
)

// flatcarLine is what Flatcar's GRUB passes, with what is built into its kernel in front (spec/flatcar-boot.md 6.1).
const flatcarLine = "rootflags=rw mount.usrflags=ro mount.usr=/dev/mapper/usr verity.usr=PARTUUID=7130C94A-213A-4E5A-8E26-6CCE9662F132 " +
	"rootflags=rw mount.usrflags=ro consoleblank=0 root=LABEL=ROOT console=ttyS0 flatcar.oem.id=qemu verity.usrhash=" + testHash

const usrA = "7130c94a-213a-4e5a-8e26-6cce9662f132"

func TestFlatcarsUsr(t *testing.T) {
	b := planLine(t, flatcarLine)
	v := b.Usr.Volume
	if b.Usr.Source != UsrVerity || !v.OnePartition || v.Data != (Selector{ByPartUUID, usrA}) || v.Hash != v.Data || v.RootHash != testHash {
		t.Fatalf("%+v, %+v", b.Usr, v)
	}
	if b.Root.IsReadOnly() || b.Root.Device != (Selector{ByLabel, "ROOT"}) || !b.Usr.Mount.IsReadOnly() || len(b.Warnings) != 0 {
		t.Errorf("%+v, %q", b, b.Warnings)
	}
	if want := (Need{"dm_verity", "verity.usrhash="}); b.Modules[0] != want {
		t.Errorf("%v", b.Modules)
	}
	for _, c := range []struct {
		line string
		data superblock.Info
		want int64
	}{
		{flatcarLine, superblock.Info{Kind: superblock.Btrfs}, 1065345024},
		{flatcarLine, superblock.Info{}, 1065345024},
		{flatcarLine, superblock.Info{Kind: superblock.Ext4, Size: 1 << 20}, 1 << 20},
		{flatcarLine + " systemd.verity_usr_options=hash-offset=8192", superblock.Info{Kind: superblock.Ext4, Size: 1 << 20}, 8192},
		// Two partitions: the tree is at the start of its own.
		{wholeLine, superblock.Info{Kind: superblock.Ext4, Size: 1 << 20}, 0},
		{wholeLine + " systemd.verity_usr_options=hash-offset=4096", superblock.Info{Kind: superblock.Ext4, Size: 1 << 20}, 4096},
	} {
		if got := planLine(t, c.line).Usr.Volume.HashOffset(c.data); got != c.want {
			t.Errorf("%s: %d, want %d", c.line, got, c.want)
		}
	}
}

// TestOneOfFlatcarsWords: V5.
func TestOneOfFlatcarsWords(t *testing.T) {
	const root = "root=LABEL=ROOT rw "
	b := planLine(t, root+"verity.usr=PARTUUID="+usrA+" mount.usr=PARTUUID="+usrA)
	if b.Usr.Source != UsrDevice || b.Usr.Mount.Device.Value != usrA || b.IsUsrVerified() || len(b.Warnings) != 1 ||
		!strings.Contains(b.Warnings[0], "is without effect: there is no verity.usrhash=") {
		t.Errorf("%+v, %q", b.Usr, b.Warnings)
	}
	b = planLine(t, root+"verity.usrhash="+testHash+" mount.usr=/dev/mapper/usr")
	if v := b.Usr.Volume; v == nil || v.OnePartition || v.Data != (Selector{ByPartUUID, testData}) || v.Hash != (Selector{ByPartUUID, testTree}) {
		t.Errorf("%+v", b.Usr)
	}
}

func TestUsrWithoutVerity(t *testing.T) {
	const root = "root=LABEL=ROOT rw "
	for _, c := range []struct {
		words    string
		want     Usr
		warnings int
	}{
		{"", Usr{Source: UsrOnRoot, Mount: FileSystem{Attributes: mountapi.ReadOnly}}, 0},
		{"mount.usr=off mount.usrflags=ro", Usr{Source: UsrOnRoot, Mount: FileSystem{Attributes: mountapi.ReadOnly}}, 0},
		{"mount.usr=PARTUUID=" + usrA, Usr{Source: UsrDevice, Mount: FileSystem{Device: Selector{ByPartUUID, usrA}, Attributes: mountapi.ReadOnly}}, 0},
		{"usr=LABEL=x usrfstype=btrfs usrflags=noatime", Usr{
			Source: UsrDevice, Mount: FileSystem{Device: Selector{ByLabel, "x"}, Type: "btrfs", Attributes: mountapi.ReadOnly | mountapi.NoATime},
		}, 0},
		{"mount.usr=/dev/vda3 mount.usrfstype=auto mount.usrflags=ro usr=LABEL=x usrfstype=btrfs usrflags=rw", Usr{
			Source: UsrDevice, Mount: FileSystem{Device: Selector{ByPath, "/dev/vda3"}, Attributes: mountapi.ReadOnly},
		}, 0},
		{"mount.usr=/dev/vda3 mount.usrflags=rw", Usr{Source: UsrDevice, Mount: FileSystem{Device: Selector{ByPath, "/dev/vda3"}}}, 1},
	} {
		b := planLine(t, root+c.words)
		if got := b.Usr; got.Source != c.want.Source || got.Volume != nil || got.Mount.Device != c.want.Mount.Device ||
			got.Mount.Type != c.want.Mount.Type || got.Mount.Attributes != c.want.Mount.Attributes || len(b.Warnings) != c.warnings {
			t.Errorf("%s: %+v, %q", c.words, got, b.Warnings)
		}
		if b.IsUsrVerified() || b.SettingsDirectories() != nil {
			t.Errorf("%s: trusted", c.words)
		}
		for _, need := range b.Modules {
			if need.Module == "dm_verity" {
				t.Errorf("%s: %v", c.words, b.Modules)
			}
		}
		for _, policy := range []trust.Policy{trust.PolicySigned, trust.PolicyVerity} {
			_, err := PlanBoot(kernelcmdline.Parse(root+c.words), Settings{Verity: VeritySettings{UsrPolicy: policy}})
			if err == nil || !strings.Contains(err.Error(), "UsrPolicy="+string(policy)) {
				t.Errorf("%s with %s: %v", c.words, policy, err)
			}
		}
		if _, err := PlanBoot(kernelcmdline.Parse(root+c.words), Settings{Verity: VeritySettings{UsrPolicy: trust.PolicyAny}}); err != nil {
			t.Error(err)
		}
	}
	if b := planLine(t, wholeLine); !b.IsUsrVerified() || !slices.Equal(b.SettingsDirectories(), extension.VerifiedSettings) {
		t.Errorf("%+v, %q", b.Usr, b.SettingsDirectories())
	}
}

func TestUsrRefused(t *testing.T) {
	const root = "root=LABEL=ROOT rw "
	for line, want := range map[string]string{
		"mount.usr=/dev/mapper/usr":                             "no root hash to open that with",
		"mount.usr=/dev/mapper/usr verity.usr=PARTUUID=" + usrA: "no root hash to open that with",
		"usr=/dev/mapper/usr":                                   "usr=/dev/mapper/usr, but",
		"mount.usr":                                             "mount.usr without a value",
		"usr":                                                   "without a value",
		"mount.usr=":                                            "mount.usr=: ",
		"mount.usr=gpt-auto":                                    "mount.usr=gpt-auto asks for what the partition table says",
		"mount.usr=dissect":                                     "mount.usr=dissect asks for",
		"mount.usr=tmpfs":                                       "mount.usr=tmpfs asks for",
		"verity.usr=PARTUUID=" + usrA + " verity.usrhash":            "verity.usrhash without a value",
		"verity.usr verity.usrhash=" + testHash:                      "verity.usr without a value",
		"verity.usr=PARTUUID=" + usrA + " verity.usrhash=":           "verity.usrhash= is too short: 0",
		"verity.usr=PARTUUID=" + usrA + " verity.usrhash=ab":         "verity.usrhash= is too short: 2",
		"verity.usr=ID=x verity.usrhash=" + testHash:                 "verity.usr=ID=x: ",
		"verity.usrhash=" + testHash + " mount.usr=PARTUUID=" + usrA: "is not the device that verity.usrhash= opens",
		"verity.usrhash=" + testHash + " usrhash=" + testHash:        "two ways to name the same",
	} {
		_, err := PlanBoot(kernelcmdline.Parse(root+line), Settings{})
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	// The switch is one for systemd's words.
	if b := planLine(t, flatcarLine+" systemd.verity=0"); b.Usr.Source != UsrVerity {
		t.Errorf("%+v", b.Usr)
	}
}

func TestMountWithoutReplay(t *testing.T) {
	for _, c := range []struct{ flags, fsType, want string }{
		{"ro", "btrfs", "rescue=nologreplay"},
		{"ro,subvol=usr", "btrfs", "subvol=usr rescue=nologreplay"},
		{"ro,rescue=all", "btrfs", "rescue=all"},
		{"rw", "btrfs", ""},
		{"ro", "ext4", ""},
	} {
		var f FileSystem
		f.Options, f.Attributes = mountapi.ParseOptions(c.flags)
		var words []string
		for _, o := range f.WithoutReplay(c.fsType).Options {
			words = append(words, o.String())
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s %s: %q", c.fsType, c.flags, got)
		}
		if strings.Contains(c.flags, ",") && len(f.Options) != 1 {
			t.Errorf("the original changed: %v", f.Options)
		}
	}
}

// TestUsrInImage: PXE. The words on a kernel's own command line about how to mount /usr do not matter.
func TestUsrInImage(t *testing.T) {
	const root = "root=LABEL=ROOT rw "
	image := Settings{HasSquashfs: true}
	for _, line := range []string{root, root + "mount.usrflags=ro rootflags=rw"} {
		b, err := PlanBoot(kernelcmdline.Parse(line), image)
		if err != nil || b.Usr.Source != UsrInImage || !b.IsUsrVerified() || len(b.SettingsDirectories()) != 2 ||
			!slices.Equal(b.Modules, []Need{{"loop", "/usr.squashfs"}, {"squashfs", "/usr.squashfs"}}) {
			t.Errorf("%s: %+v, %v", line, b, err)
		}
	}
	for line, want := range map[string]UsrSource{
		root + "mount.usr=off": UsrOnRoot, root + "mount.usr=LABEL=x": UsrDevice, root + "usr=LABEL=x": UsrDevice,
		wholeLine: UsrVerity, flatcarLine: UsrVerity, "roothash=" + testHash: UsrOnRoot,
	} {
		if b, err := PlanBoot(kernelcmdline.Parse(line), image); err != nil || b.Usr.Source != want {
			t.Errorf("%s: %+v, %v", line, b, err)
		}
	}
	b, err := PlanBoot(kernelcmdline.Parse("rw"), image)
	if err != nil {
		t.Fatal(err)
	}
	if refusal := b.Fallback.Refusal(); refusal == nil || !strings.Contains(refusal.Reason, "there is /usr.squashfs and no root=: that asks for a diskless system") {
		t.Error(refusal)
	}
	image.Verity.UsrPolicy = trust.PolicyVerity
	if _, err := PlanBoot(kernelcmdline.Parse(root), image); err == nil || !strings.Contains(err.Error(), "UsrPolicy=verity") {
		t.Error(err)
	}
}
