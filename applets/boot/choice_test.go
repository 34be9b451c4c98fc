package boot

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/superblock"
)

// TestDevicesAreReported lets the boot choose among two disks with the same partitions.
func TestDevicesAreReported(t *testing.T) {
	ids := []string{"01010101-0101-0101-0101-010101010101", "02020202-0202-0202-0202-020202020202", "03030303-0303-0303-0303-030303030303"}
	var partitions []observe.Partition
	for _, disk := range []string{"vda", "vdb"} {
		for i, id := range ids {
			guid, err := gpt.ParseGUID(id)
			if err != nil {
				t.Fatal(err)
			}
			number := string(rune('1' + i))
			partitions = append(partitions, observe.Partition{
				Device:  blockdev.Device{Name: disk + number, Disk: disk, Partition: i + 1},
				Entry:   gpt.Entry{Number: i + 1, ID: guid, Name: "part_" + number},
				Content: superblock.Info{Kind: superblock.Ext4, Label: "L" + number}, IsRoot: i > 0,
			})
		}
	}
	partitions = append(partitions, observe.Partition{Device: blockdev.Device{Name: "vdc"}, Content: superblock.Info{Kind: superblock.Ext4, Label: "ALONE"}})
	hash := strings.Repeat("01", 16) + strings.Repeat("02", 16)
	data := bootreport.Device{Use: "data of /usr", Node: "/dev/vda1", Disk: "vda", Selector: "PARTUUID=" + ids[0], Reason: "first half of usrhash=; the first one found", Others: 1}
	tree := bootreport.Device{Use: "hash tree of /usr", Node: "/dev/vda2", Disk: "vda", Selector: "PARTUUID=" + ids[1], Reason: "second half of usrhash=; on the disk of /usr", Others: 1}
	for name, c := range map[string]struct {
		words string
		want  []bootreport.Device
	}{
		"the newest root by itself": {"usrhash=" + hash, []bootreport.Device{
			data, tree, {Use: "root", Node: "/dev/vda3", Disk: "vda", Selector: "gpt-auto", Reason: "no root= on the kernel command line; the newest label", Others: 1},
		}},
		"words for the initrd alone": {
			"rd.usrhash=" + hash + " systemd.verity_usr_data=/dev/vdb1 rd.systemd.verity_usr_hash=/dev/vda2 root=LABEL=ALONE",
			[]bootreport.Device{
				{Use: "data of /usr", Node: "/dev/vdb1", Disk: "vdb", Selector: "/dev/vdb1", Reason: "systemd.verity_usr_data="},
				{Use: "hash tree of /usr", Node: "/dev/vda2", Disk: "vda", Selector: "/dev/vda2", Reason: "systemd.verity_usr_hash="},
				{Use: "root", Node: "/dev/vdc", Selector: "LABEL=ALONE", Reason: "root="},
			},
		},
		"with error correction": {
			"usrhash=" + hash + " systemd.verity_usr_options=fec-device=LABEL=L3 root=PARTUUID=" + ids[2],
			[]bootreport.Device{
				data, tree,
				{Use: "error correction of /usr", Node: "/dev/vda3", Disk: "vda", Selector: "LABEL=L3", Reason: "fec-device= in systemd.verity_usr_options=; on the disk of /usr", Others: 1},
				{Use: "root", Node: "/dev/vda3", Disk: "vda", Selector: "PARTUUID=" + ids[2], Reason: "root=; on the disk of /usr", Others: 1},
			},
		},
	} {
		f := newFailure(t)
		f.report.Profile = "full"
		var err error
		if f.plan, err = plan.PlanBoot(kernelcmdline.Parse(c.words), plan.Settings{}); err != nil {
			t.Fatal(err)
		}
		found, missing := f.plan.Select(partitions, "", false)
		if missing != "" {
			t.Fatalf("%s: %s", name, missing)
		}
		if err := f.noteDevices(found); err != nil {
			t.Error(err)
		}
		if !reflect.DeepEqual(f.report.Devices, c.want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, f.report.Devices, c.want)
		}
	}
}

// TestStepsEndWithTheBoot: a step that hangs is in the report that the deadline writes.
func TestStepsEndWithTheBoot(t *testing.T) {
	f := newFailure(t)
	hung := make(chan struct{})
	go func() {
		_ = f.step("wait for ever", func() error {
			close(hung)
			select {}
		})
	}()
	<-hung
	go f.fail(errors.New("too long"))
	f.expect(t, "sleep 10s")
	steps := f.readReport(t).Steps
	if !slices.ContainsFunc(steps, func(s bootreport.Step) bool {
		return s.Name == "wait for ever" && s.Error != "" && s.EndMS >= s.StartMS
	}) {
		t.Errorf("%+v", steps)
	}
	f.expect(t, "reboot", "sleep 1m0s")
}
