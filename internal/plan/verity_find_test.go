package plan

import (
	"bytes"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/observe"
)

func TestFindVerityPartitions(t *testing.T) {
	root := append(bytes.Repeat([]byte{0x11}, 16), bytes.Repeat([]byte{0x22}, 16)...)
	part := func(name, disk string, id byte) observe.Partition {
		return observe.Partition{
			Device: blockdev.Device{Name: name, Disk: disk}, Entry: gpt.Entry{Number: 1, ID: gpt.GUID(bytes.Repeat([]byte{id}, 16))},
		}
	}
	data, hash := part("vda2", "vda", 0x11), part("vda3", "vda", 0x22)
	for name, test := range map[string]struct {
		root       []byte
		partitions []observe.Partition
		data, hash string
		warnings   int
		want       string // part of the error
	}{
		"both":                 {root, []observe.Partition{part("vda1", "vda", 9), hash, data}, "vda2", "vda3", 0, ""},
		"longer hash":          {append(bytes.Repeat([]byte{0x11}, 48), root[16:]...), []observe.Partition{data, hash}, "vda2", "vda3", 0, ""},
		"sha1":                 {root[:20], []observe.Partition{data, hash}, "", "", 0, "second half of the root hash"},
		"nothing":              {root, nil, "", "", 0, "22222222-2222-2222-2222-222222222222 (hash tree"},
		"hash tree only":       {root, []observe.Partition{hash}, "", "", 0, "PARTUUID=11111111-1111-1111-1111-111111111111 (data"},
		"data only":            {root, []observe.Partition{data}, "", "", 0, "hash tree"},
		"on two disks":         {root, []observe.Partition{part("vdb1", "vdb", 0x11), hash}, "vdb1", "vda3", 0, ""},
		"copies":               {root, []observe.Partition{part("vdb1", "vdb", 0x22), data, hash}, "vda2", "vda3", 1, ""},
		"copies the other way": {root, []observe.Partition{part("vdb1", "vdb", 0x11), data, hash}, "vda2", "vda3", 1, ""},
		"two whole ones":       {root, []observe.Partition{part("vdb1", "vdb", 0x11), part("vdb2", "vdb", 0x22), data, hash}, "vdb1", "vdb2", 2, ""},
		"short":                {root[:15], []observe.Partition{data, hash}, "", "", 0, "15 bytes"},
		"no entry":             {root, []observe.Partition{{Device: blockdev.Device{Name: "loop0"}}}, "", "", 0, "no partition"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := FindVerityPartitions(test.root, test.partitions)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%+v, %v", found, err)
				}
				return
			}
			if err != nil || found.Data.Name != test.data || found.Hash.Name != test.hash || len(found.Warnings) != test.warnings {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
}
