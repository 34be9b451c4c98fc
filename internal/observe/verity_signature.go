package observe

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"github.com/preroot/preroot/internal/ddi"
)

// maxSignaturePartition is the largest partition that is looked at: see ddi.ParseSignaturePartition.
const maxSignaturePartition = 4 << 20

// FindVeritySignature returns the signature of a root hash from a signature partition (systemd's
// discoverable partitions) on the disk, with the partition's node; nil if there is none. A partition
// is known by what it says, not by its type, which differs between architectures; and what it says is
// worth nothing before the signature was checked.
func FindVeritySignature(partitions []Partition, disk string, root []byte) (signature []byte, node string, err error) {
	for _, p := range partitions {
		if p.Disk != disk || p.Entry.Number == 0 || p.Size > maxSignaturePartition {
			continue
		}
		content, err := os.ReadFile(p.Node())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if !bytes.HasPrefix(content, []byte("{")) {
			continue
		}
		if found, err := ddi.ParseSignaturePartition(content); err == nil && bytes.Equal(found.RootHash, root) {
			return found.Signature, p.Node(), nil
		}
	}
	return nil, "", nil
}
