// Package dditest builds verity images of extensions for tests. It is not linked into any program.
package dditest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/hashtree/hashtreetest"
	"github.com/preroot/preroot/internal/veritytable"
)

// Types of partitions for x86-64 (UAPI group, discoverable partitions specification).
const (
	TypeRoot, TypeRootVerity, TypeRootSignature = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5", "41092b05-9fc8-4523-994f-2def0408b176"
	TypeUsr, TypeUsrVerity, TypeUsrSignature    = "8484680c-9521-48c6-9c11-b0720656f69e", "77ff5f63-e7b6-4633-acf4-1565b864c0e6", "e7bb33fb-06cf-4e81-8273-e543b413e2e2"
)

// Image is a verity image to be made of a file system, or of whatever Content is.
type Image struct {
	Content []byte // padded to whole blocks of 4 KiB
	// Usr makes the data partition one of /usr.
	Usr       bool
	Algorithm string // sha256 if empty
	// Sign returns the signature in DER of the text of a root hash, for a signature partition. Nil makes none.
	Sign func(rootHash string) []byte
}

// Built is a finished image: where its parts lie in Data.
type Built struct {
	Data               []byte
	RootHash           []byte
	DataStart          int
	HashStart          int
	DataSize, HashSize int
}

// Build makes the image.
func (i Image) Build() Built {
	content := append([]byte{}, i.Content...)
	content = append(content, make([]byte, (4096-len(content)%4096)%4096)...)
	if i.Algorithm == "" {
		i.Algorithm = "sha256"
	}
	s := veritytable.Superblock{
		HashType: 1, UUID: [16]byte{1, 2, 3}, Algorithm: i.Algorithm, DataBlockSize: 4096, HashBlockSize: 4096,
		DataBlocks: uint64(len(content) / 4096), Salt: []byte("salt of the tests"),
	}
	tree, root := hashtreetest.Build(s, 0, content)
	dataType, hashType, signatureType := TypeRoot, TypeRootVerity, TypeRootSignature
	if i.Usr {
		dataType, hashType, signatureType = TypeUsr, TypeUsrVerity, TypeUsrSignature
	}
	disk := gpttest.Disk{Partitions: []gpttest.Partition{
		{Type: guid(dataType), ID: gpt.GUID(root[:16]), Name: "data", Attributes: gpt.AttributeReadOnly, Data: content},
		{Type: guid(hashType), ID: gpt.GUID(root[len(root)-16:]), Name: "hash", Attributes: gpt.AttributeReadOnly, Data: tree},
	}}
	if i.Sign != nil {
		hash := hex.EncodeToString(root)
		text := fmt.Sprintf(`{"rootHash":"%s","certificateFingerprint":"%064d","signature":"%s"}`, hash, 0, base64.StdEncoding.EncodeToString(i.Sign(hash)))
		disk.Partitions = append(disk.Partitions, gpttest.Partition{
			Type: guid(signatureType), ID: guid("00000000-0000-0000-0000-000000000001"), Name: "sig", Data: []byte(text),
		})
	}
	b := Built{Data: disk.Bytes(), RootHash: root, DataSize: len(content), HashSize: len(tree)}
	table, err := gpt.Read(reader(b.Data), int64(len(b.Data)), 512)
	if err != nil {
		panic(err)
	}
	b.DataStart, b.HashStart = int(table.Offset(table.Entries[0])), int(table.Offset(table.Entries[1]))
	return b
}

// Hash is the root hash as text.
func (b Built) Hash() string { return hex.EncodeToString(b.RootHash) }

// Damage returns a copy with one bit of a byte turned over.
func (b Built) Damage(offset int) Built {
	b.Data = append([]byte{}, b.Data...)
	b.Data[offset] ^= 1
	return b
}

type reader []byte

func (r reader) ReadAt(p []byte, offset int64) (int, error) { return copy(p, r[offset:]), nil }

func guid(text string) gpt.GUID {
	g, err := gpt.ParseGUID(text)
	if err != nil {
		panic(err)
	}
	return g
}
