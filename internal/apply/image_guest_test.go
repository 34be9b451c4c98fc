//go:build guest

package apply

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/hashtree/hashtreetest"
	"github.com/preroot/preroot/internal/veritytable"
)

// image is a verity DDI to be made.
type image struct {
	files map[string]string
	// usr makes the data partition one of /usr, below which files lie then.
	usr       bool
	algorithm string // sha256 if empty
	signed    bool   // with a signature partition; nobody checks what is in it
}

// Types of partitions for x86-64 (UAPI group, discoverable partitions specification).
const (
	typeRoot, typeRootVerity, typeRootSignature = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5", "41092b05-9fc8-4523-994f-2def0408b176"
	typeUsr, typeUsrVerity                      = "8484680c-9521-48c6-9c11-b0720656f69e", "77ff5f63-e7b6-4633-acf4-1565b864c0e6"
)

// built is a finished DDI: where its parts lie in data.
type built struct {
	data               []byte
	rootHash           []byte
	dataStart          int
	hashStart          int
	dataSize, hashSize int
}

func guid(text string) gpt.GUID {
	g, err := gpt.ParseGUID(text)
	if err != nil {
		panic(err)
	}
	return g
}

// writeTree makes files below a new directory.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	tree := &world{T: t, path: t.TempDir()}
	for name, text := range files {
		tree.write(name, text)
	}
	return tree.path
}

func (i image) build(t *testing.T) built {
	t.Helper()
	content, err := os.ReadFile(packTree(t, "erofs", writeTree(t, i.files)))
	if err != nil {
		t.Fatal(err)
	}
	return i.buildOf(t, content)
}

// buildOf makes a DDI of a file system, or whatever content is.
func (i image) buildOf(t *testing.T, content []byte) built {
	t.Helper()
	content = append(content, make([]byte, (4096-len(content)%4096)%4096)...)
	if i.algorithm == "" {
		i.algorithm = "sha256"
	}
	s := veritytable.Superblock{
		HashType: 1, UUID: [16]byte{1, 2, 3}, Algorithm: i.algorithm, DataBlockSize: 4096, HashBlockSize: 4096,
		DataBlocks: uint64(len(content) / 4096), Salt: []byte("salt of the tests"),
	}
	tree, root := hashtreetest.Build(s, 0, content)
	dataType, hashType := typeRoot, typeRootVerity
	if i.usr {
		dataType, hashType = typeUsr, typeUsrVerity
	}
	disk := gpttest.Disk{Partitions: []gpttest.Partition{
		{Type: guid(dataType), ID: gpt.GUID(root[:16]), Name: "data", Attributes: gpt.AttributeReadOnly, Data: content},
		{Type: guid(hashType), ID: gpt.GUID(root[len(root)-16:]), Name: "hash", Attributes: gpt.AttributeReadOnly, Data: tree},
	}}
	if i.signed {
		text := fmt.Sprintf(`{"rootHash":"%x","certificateFingerprint":"%064d","signature":"AAAA"}`, root, 0)
		disk.Partitions = append(disk.Partitions, gpttest.Partition{Type: guid(typeRootSignature), ID: guid("00000000-0000-0000-0000-000000000001"), Name: "sig", Data: []byte(text)})
	}
	b := built{data: disk.Bytes(), rootHash: root, dataSize: len(content), hashSize: len(tree)}
	table, err := gpt.Read(sliceReader(b.data), int64(len(b.data)), 512)
	if err != nil {
		t.Fatal(err)
	}
	b.dataStart, b.hashStart = int(table.Offset(table.Entries[0])), int(table.Offset(table.Entries[1]))
	return b
}

func (b built) hash() string { return hex.EncodeToString(b.rootHash) }

// damage returns a copy with one bit of a byte turned over.
func (b built) damage(offset int) built {
	b.data = append([]byte{}, b.data...)
	b.data[offset] ^= 1
	return b
}

type sliceReader []byte

func (r sliceReader) ReadAt(p []byte, offset int64) (int, error) { return copy(p, r[offset:]), nil }

// addImage writes a DDI into the root.
func (w *world) addImage(at string, b built) {
	w.Helper()
	w.check(os.MkdirAll(filepath.Dir(w.at(at)), 0o755))
	w.check(os.WriteFile(w.at(at), b.data, 0o644))
}

// addFileSystem writes an image without partitions into the root.
func (w *world) addFileSystem(at, fsType string, files map[string]string) {
	w.Helper()
	content, err := os.ReadFile(packTree(w.T, fsType, writeTree(w.T, files)))
	w.check(err)
	w.check(os.MkdirAll(filepath.Dir(w.at(at)), 0o755))
	w.check(os.WriteFile(w.at(at), content, 0o644))
}
