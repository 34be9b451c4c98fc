package observe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi"
)

// maxSignature bounds a signature in bytes: what the kernel takes as a key.
const maxSignature = 32767

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

// ReadSignatureFile reads a signature in DER.
func ReadSignatureFile(name string) ([]byte, error) {
	// A pipe that nobody writes to must not hold up the boot.
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSignature+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read signature %s: %w", name, err)
	case len(content) == 0:
		return nil, fmt.Errorf("read signature %s: it is empty", name)
	case len(content) > maxSignature:
		return nil, fmt.Errorf("read signature %s: more than %d bytes", name, maxSignature)
	}
	return content, nil
}
