package plan

import (
	"fmt"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/observe"
)

// VerityPartitions are the two partitions that a root hash names.
type VerityPartitions struct {
	Data, Hash *observe.Partition
	// Warnings say where the choice was not a clear one.
	Warnings []string
}

// FindVerityPartitions finds data and hash tree by the rule of the discoverable partitions
// specification: the partition UUIDs are the first and the last 16 bytes of the root hash. Where several
// disks have them, as copies of one image have, the two are taken from one disk if any has both.
func FindVerityPartitions(root []byte, partitions []observe.Partition) (*VerityPartitions, error) {
	const half = 16
	if len(root) < half {
		return nil, fmt.Errorf("a root hash of %d bytes names no partitions, at least %d are needed", len(root), half)
	}
	data := Selector{ByPartUUID, gpt.GUID(root[:half]).String()}
	hash := Selector{ByPartUUID, gpt.GUID(root[len(root)-half:]).String()}
	found := &VerityPartitions{}
	var others int
	if found.Hash, others = hash.Find(partitions, ""); found.Hash == nil {
		return nil, fmt.Errorf("no partition %s (hash tree, second half of the root hash)", hash)
	}
	found.warn(hash, others)
	if found.Data, others = data.Find(partitions, found.Hash.Disk); found.Data == nil {
		return nil, fmt.Errorf("no partition %s (data, first half of the root hash)", data)
	}
	found.warn(data, others)
	if found.Data.Disk != found.Hash.Disk {
		found.Hash, _ = hash.Find(partitions, found.Data.Disk)
	}
	return found, nil
}

func (f *VerityPartitions) warn(wanted Selector, others int) {
	if others > 0 {
		f.Warnings = append(f.Warnings, fmt.Sprintf("%d partitions are called %s", others+1, wanted))
	}
}
