package plan

import (
	"testing"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/superblock"
)

func partition(name, disk string, number int, id, label string) observe.Partition {
	guid, err := gpt.ParseGUID(id)
	if err != nil {
		panic(err)
	}
	return observe.Partition{
		Device: blockdev.Device{Name: name, Disk: disk, Partition: number},
		Entry:  gpt.Entry{Number: number, ID: guid, Name: label},
	}
}

func TestFind(t *testing.T) {
	const one, two = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
	partitions := []observe.Partition{
		{Device: blockdev.Device{Name: "vda"}},
		partition("vda1", "vda", 1, one, "root"),
		partition("vdb1", "vdb", 1, one, "root"),
		partition("vdb2", "vdb", 2, two, "root"),
		partition("cciss!c0d0p1", "cciss!c0d0", 1, two, ""),
		// Not in the GPT that the disk has: no identifier counts.
		{Device: blockdev.Device{Name: "vdc1", Disk: "vdc", Partition: 1}},
	}
	partitions[1].Content = superblock.Info{Kind: superblock.Ext4, UUID: two, Label: "ROOT"}
	partitions[3].Content = superblock.Info{Kind: superblock.VFAT, UUID: "12AB-34CD"}
	// Whole disks may hold one, too.
	partitions = append(partitions, observe.Partition{Device: blockdev.Device{Name: "vdd"}, Content: superblock.Info{Kind: superblock.XFS, UUID: two, Label: "ROOT"}})
	for i, label := range []string{"root_9", "root_10"} {
		root := partition("vde"+[]string{"1", "2"}[i], "vde", i+1, "44444444-4444-4444-4444-444444444444", label)
		root.IsRoot = true
		partitions = append(partitions, root)
	}
	zero := gpt.GUID{}.String()
	for name, c := range map[string]struct {
		selector Selector
		prefer   string
		want     string
		others   int
	}{
		"the first one":                   {Selector{ByPartUUID, one}, "", "vda1", 1},
		"the disk of /usr":                {Selector{ByPartUUID, one}, "vdb", "vdb1", 1},
		"the disk of /usr comes first":    {Selector{ByPartUUID, one}, "vda", "vda1", 1},
		"only on another disk":            {Selector{ByPartUUID, two}, "vda", "vdb2", 1},
		"by label":                        {Selector{ByPartLabel, "root"}, "vdb", "vdb1", 2},
		"no label":                        {Selector{ByPartLabel, "other"}, "vdb", "", 0},
		"no UUID":                         {Selector{ByPartUUID, "33333333-3333-3333-3333-333333333333"}, "", "", 0},
		"not in a table":                  {Selector{ByPartUUID, zero}, "", "", 0},
		"by path":                         {Selector{ByPath, "/dev/vdb2"}, "vda", "vdb2", 0},
		"a whole disk by path":            {Selector{ByPath, "/dev/vda"}, "", "vda", 0},
		"a path with a folder":            {Selector{ByPath, "/dev/cciss/c0d0p1"}, "", "cciss!c0d0p1", 0},
		"no path":                         {Selector{ByPath, "/dev/vdz"}, "", "", 0},
		"the root of the disk":            {Selector{Kind: Automatic}, "vde", "vde2", 1},
		"no root on the disk":             {Selector{Kind: Automatic}, "vdb", "", 0},
		"by UUID":                         {Selector{ByUUID, two}, "", "vda1", 1},
		"by UUID on another disk":         {Selector{ByUUID, "12ab-34cd"}, "vda", "vdb2", 0},
		"by file system label":            {Selector{ByLabel, "ROOT"}, "vda", "vda1", 1},
		"another case of the label":       {Selector{ByLabel, "root"}, "vda", "", 0},
		"nothing known has no UUID":       {Selector{ByUUID, ""}, "", "", 0},
		"an unknown kind finds nothing":   {Selector{"ID", one}, "", "", 0},
		"the zero selector finds nothing": {Selector{}, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			found, others := c.selector.Find(partitions, c.prefer)
			got := ""
			if found != nil {
				got = found.Name
			}
			if got != c.want || others != c.others {
				t.Errorf("%s and %d others, want %s and %d", got, others, c.want, c.others)
			}
		})
	}
	if found, others := (Selector{ByPartUUID, one}).Find(nil, "vda"); found != nil || others != 0 {
		t.Errorf("%v, %d", found, others)
	}
}

func TestSelectorReadsItsOwnText(t *testing.T) {
	for _, s := range []Selector{{ByPartUUID, testRoot}, {ByPartLabel, "a=b c"}, {ByUUID, testRoot}, {ByLabel, "x=y"}, {ByPath, "/dev/nvme0n1p2"}, {ByPath, "/dev/cciss/c0d0p1"}} {
		if got, err := ParseSelector(s.String()); err != nil || got != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

func TestParseSelectorRefuses(t *testing.T) {
	for _, text := range []string{
		"", "=", "vda2", "/", "/dev", "/dev/", "/dev//vda", "/dev/../vda", "/dev/vda/", "/dev/disk/by-id/x", "/dev/disk", "/dev/mapper/usr",
		"UUID=", "LABEL=", "/dev/disk/by-uuid/", "/dev/disk/by-label/", "uuid=x", "ID=x", "partuuid=" + testRoot, "PARTUUID", "PARTUUID=", "PARTUUID=xyz", "PARTUUID=" + testRoot + "0",
		"PARTLABEL=", "/dev/disk/by-partuuid/", "/dev/disk/by-partlabel/", "NBD=x", "254:1", "fstab", "off",
	} {
		if s, err := ParseSelector(text); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
}

func FuzzParseSelector(f *testing.F) {
	for _, seed := range []string{"PARTUUID=" + testRoot, "PARTLABEL=a", "/dev/vda1", `/dev/disk/by-partlabel/a\x20b\x`, "/dev/disk/by-partuuid/x"} {
		f.Add(seed)
	}
	partitions := []observe.Partition{partition("vda1", "vda", 1, testRoot, "a"), {}}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSelector(text)
		if err != nil {
			if s != (Selector{}) {
				t.Errorf("%+v and %v", s, err)
			}
			return
		}
		if s.Value == "" {
			t.Errorf("%q: %+v", text, s)
		}
		if again, err := ParseSelector(s.String()); err != nil || again != s {
			t.Errorf("%q: %+v, then %+v, %v", text, s, again, err)
		}
		s.Find(partitions, "vda")
	})
}
