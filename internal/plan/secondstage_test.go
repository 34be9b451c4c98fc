package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/superblock"
)

// Every word about the root leads to the second stage where there is one, and stops the boot elsewhere.
func TestSecondStageIsForWhatMustNotBeGuessed(t *testing.T) {
	for line, reason := range map[string]string{
		wholeLine + " flatcar.first_boot=detected":           "flatcar.first_boot",
		wholeLine + " coreos.first_boot=1":                   "coreos.first_boot",
		wholeLine + " ignition.firstboot":                    "ignition.firstboot",
		wholeLine + " rd.unheard-of=1":                       "rd.unheard-of",
		wholeLine + " rd.luks.uuid=x":                        "rd.luks.uuid",
		wholeLine + " luks.name=x":                           "luks.name",
		wholeLine + " rd.md.uuid=x":                          "rd.md.uuid",
		wholeLine + " netroot=iscsi:x":                       "netroot",
		wholeLine + " resume=/dev/vda3":                      "resume",
		wholeLine + " fsck.mode=force":                       "fsck.mode=force",
		wholeLine + " systemd.volatile=maybe":                "systemd.volatile",
		wholeLine + " root=tmpfs":                            "root=tmpfs",
		wholeLine + " roothash=" + testHash:                  "roothash",
		"rw systemd.gpt_auto=0 usrhash=" + testHash:          "switches the search for it off",
		wholeLine + " rd.systemd.unit=rescue.target rd.luks": "rd.systemd.unit",
	} {
		b, err := PlanBoot(kernelcmdline.Parse(line), Settings{})
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		stage, err := PlanSecondStage(b.Fallback, true)
		if err != nil || !stage.Enter || !strings.Contains(strings.Join(stage.Reasons, "\n"), reason) {
			t.Errorf("%s: %+v, %v", line, stage, err)
		}
		var refusal *Refusal
		if stage, err := PlanSecondStage(b.Fallback, false); stage.Enter || !errors.As(err, &refusal) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %+v, %v", line, stage, err)
		}
		if !slices.ContainsFunc(b.Modules, func(n Need) bool { return n.Module == "squashfs" }) {
			t.Errorf("%s: %v", line, b.Modules)
		}
	}
}

// There is no way to a second stage past a /usr that cannot be verified.
func TestNoSecondStageWithoutUsr(t *testing.T) {
	for _, line := range []string{
		"root=LABEL=ROOT rd.md.uuid=x", "root=LABEL=ROOT flatcar.first_boot=1 usrhash=00", wholeLine + " resume=x systemd.verity=0",
		wholeLine + " rd.md.uuid=x usrhash=00", "root=LABEL=ROOT rd.md.uuid=x verity.usr=LABEL=x verity.usrhash=00", wholeLine + " rd.md.uuid=x mount.usr=/dev/vda1",
	} {
		if b, err := PlanBoot(kernelcmdline.Parse(line), Settings{}); err == nil {
			t.Errorf("%s: %+v", line, b.Fallback)
		}
	}
}

func TestNoFirstBoot(t *testing.T) {
	for _, value := range []string{"", "0", "no", "off"} {
		if b := planLine(t, wholeLine+" flatcar.first_boot="+value); len(b.Fallback) != 0 {
			t.Errorf("%q: %+v", value, b.Fallback)
		}
	}
	// The last one counts.
	if b := planLine(t, wholeLine+" flatcar.first_boot=1 flatcar.first_boot=0"); len(b.Fallback) != 0 {
		t.Errorf("%+v", b.Fallback)
	}
}

// Reasons that only a second stage can do something about do not stop a boot that has none.
func TestOptionalReasons(t *testing.T) {
	disk, err := gpt.ParseGUID(freshDisk)
	if err != nil {
		t.Fatal(err)
	}
	fresh := &observe.Partition{Device: blockdev.Device{Name: "vda3", Disk: "vda"}, TableID: disk}
	for name, c := range map[string]struct {
		line string
		usr  *observe.Partition
		want []string
	}{
		"usual":           {wholeLine, &observe.Partition{}, nil},
		"no disk":         {wholeLine, nil, nil},
		"no root":         {"rw usrhash=" + testHash, &observe.Partition{}, []string{"the kernel command line has no root="}},
		"fresh disk":      {wholeLine, fresh, []string{"the disk vda has the GUID of a fresh image"}},
		"word for a disk": {wholeLine + " flatcar.randomize_guid=x", &observe.Partition{}, []string{"the kernel command line has flatcar.randomize_guid"}},
	} {
		b := planLine(t, c.line)
		b.NoteFreshDisk(c.usr)
		b.NoteFreshDisk(c.usr)
		if stage, err := PlanSecondStage(b.Fallback, false); stage.Enter || err != nil {
			t.Errorf("%s: %+v, %v", name, stage, err)
		}
		stage, err := PlanSecondStage(b.Fallback, true)
		if err != nil || stage.Enter != (len(c.want) > 0) || !slices.Equal(stage.Reasons, c.want) {
			t.Errorf("%s: %+v, %v", name, stage, err)
		}
		if slices.ContainsFunc(b.Modules, func(n Need) bool { return n.Module == "squashfs" }) {
			t.Errorf("%s: %v", name, b.Modules)
		}
	}
}

func TestCheckOpaqueRoot(t *testing.T) {
	part := func(disk, name string, kind superblock.Kind) observe.Partition {
		return observe.Partition{
			Device: blockdev.Device{Name: disk + "9", Disk: disk}, Entry: gpt.Entry{Number: 9, Name: name}, Content: superblock.Info{Kind: kind},
		}
	}
	for name, c := range map[string]struct {
		root string
		p    observe.Partition
		want string
	}{
		"encrypted":       {"LABEL=ROOT", part("vda", "ROOT", superblock.LUKS), "root /dev/vda9 holds crypto_LUKS"},
		"array":           {"LABEL=ROOT", part("vda", "ROOT", superblock.RAID), "holds linux_raid_member"},
		"plain":           {"LABEL=ROOT", part("vda", "ROOT", superblock.Ext4), ""},
		"another disk":    {"LABEL=ROOT", part("vdb", "ROOT", superblock.LUKS), ""},
		"another name":    {"LABEL=ROOT", part("vda", "OEM", superblock.LUKS), ""},
		"not by a label":  {"UUID=ROOT", part("vda", "ROOT", superblock.LUKS), ""},
		"named otherwise": {"PARTLABEL=ROOT", part("vda", "ROOT", superblock.LUKS), ""},
	} {
		b := planLine(t, "root="+c.root+" rw usrhash="+testHash)
		refusal := b.CheckOpaqueRoot([]observe.Partition{{}, c.p}, "vda")
		if (refusal == nil) != (c.want == "") || refusal != nil && !strings.Contains(refusal.Error(), c.want) {
			t.Errorf("%s: %v", name, refusal)
		}
	}
}
