package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/superblock"
)

func TestCheckRoot(t *testing.T) {
	dirty := superblock.Info{Kind: superblock.Ext4}
	b := planLine(t, wholeLine)
	for _, info := range []superblock.Info{{Kind: superblock.Ext4, Clean: true}, {Kind: superblock.Unknown}} {
		if err := b.CheckRoot(info); err != nil {
			t.Errorf("%+v: %v", info, err)
		}
	}
	for _, kind := range []superblock.Kind{superblock.LUKS, superblock.RAID, superblock.LVM} {
		for _, b := range []*Boot{b, planLine(t, wholeLine+" rootfstype=ext4 fsck.mode=skip")} {
			if err := b.CheckRoot(superblock.Info{Kind: kind, Clean: true}); err == nil || !strings.Contains(err.Error(), "it holds "+string(kind)) {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
	for _, line := range []string{wholeLine, wholeLine + " fsck.mode=auto", wholeLine + " fsck.mode=skip fsck.mode=odd"} {
		b := planLine(t, line)
		var refusal *Refusal
		if err := b.CheckRoot(dirty); !errors.As(err, &refusal) || !strings.HasPrefix(refusal.Reason, "its ext4 must be checked") {
			t.Errorf("%s: %v", line, err)
		}
		if odd := strings.Contains(line, "odd"); odd != (len(b.Warnings) == 1) {
			t.Errorf("%s: %q", line, b.Warnings)
		}
	}
	if err := planLine(t, wholeLine+" fsck.mode=skip").CheckRoot(dirty); err != nil {
		t.Error(err)
	}
}

func TestCheckHibernation(t *testing.T) {
	awake := []observe.Partition{{Content: superblock.Info{Kind: superblock.Swap}}, {}}
	asleep := append(slices.Clone(awake), observe.Partition{
		Device: blockdev.Device{Name: "vda3"}, Content: superblock.Info{Kind: superblock.Hibernate},
	})
	b := planLine(t, wholeLine)
	if err := b.CheckHibernation(awake); err != nil {
		t.Error(err)
	}
	if err := b.CheckHibernation(asleep); err == nil || !strings.HasPrefix(err.Error(), "/dev/vda3 holds a hibernation image") {
		t.Error(err)
	}
	if err := planLine(t, wholeLine+" noresume").CheckHibernation(asleep); err != nil {
		t.Error(err)
	}
}

func TestPlanBootBlacklist(t *testing.T) {
	b := planLine(t, wholeLine+" modprobe.blacklist=ahci,usb-storage rd.driver.blacklist=nvme module_blacklist=kernel")
	if want := []string{"ahci", "usb_storage", "nvme"}; !slices.Equal(b.Blacklist, want) {
		t.Errorf("%q", b.Blacklist)
	}
}

// Words about the network are for a shell; what they would be needed for is refused.
func TestPlanBootNetwork(t *testing.T) {
	b := planLine(t, wholeLine+" ip=10.0.2.15::10.0.2.2:24::eth0:none ip=dhcp nameserver=10.0.2.3 rd.route=10.9.0.0/16:10.0.2.2 rd.peerdns=0 rd.net.timeout.carrier=9 rd.neednet=0")
	if len(b.Warnings) != 0 || b.Root.Device.Value != testRoot {
		t.Errorf("%q, %+v", b.Warnings, b.Root)
	}
	for _, line := range []string{wholeLine + " rd.neednet=1", wholeLine + " netroot=dhcp", wholeLine + " nfsroot=10.0.2.2:/x",
		"root=/dev/nfs ip=dhcp usrhash=" + testHash, "root=nfs:10.0.2.2:/x ip=dhcp usrhash=" + testHash, "root=dhcp usrhash=" + testHash} {
		if err := refuseLine(line); err == nil {
			t.Errorf("%s is not refused", line)
		}
	}
}

func TestPlanBootFlatcarsTimeout(t *testing.T) {
	if b := planLine(t, wholeLine+" rd.earlytimeout=7"); b.Timeout.Seconds() != 7 {
		t.Errorf("%v", b.Timeout)
	}
	if b := planLine(t, wholeLine+" rd.timeout=5 rd.earlytimeout=7"); b.Timeout.Seconds() != 5 {
		t.Errorf("%v", b.Timeout)
	}
}
