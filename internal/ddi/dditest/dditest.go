// Package dditest builds discoverable disk images for tests. It is not linked into any program.
package dditest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
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
	TypeGeneric                                 = "0fc63daf-8483-4772-8e79-3d69d8477de4"
)

const blockSize = 4096

// Image is what a DDI is made of.
type Image struct {
	// Content is the file system.
	Content []byte
	// Usr makes the data partition one of /usr.
	Usr bool
	// DataType replaces the type of the data partition.
	DataType string
	// Algorithm is that of the hash tree, sha256 if empty. NoVerity leaves the tree out.
	Algorithm string
	NoVerity  bool
	// Sign makes the signature of the hex text of the root hash. Without it there is no signature partition.
	Sign func(rootHash string) []byte
	// SectorSize is 512 if 0.
	SectorSize int
}

// Built is a finished DDI. Starts and sizes are in bytes.
type Built struct {
	Data     []byte
	RootHash []byte

	DataStart, HashStart int
	DataSize, HashSize   int
}

// Tree makes the hash tree of content, padded to whole blocks, with its superblock.
func Tree(content []byte, algorithm string) (padded, tree, rootHash []byte) {
	padded = append(bytes.Clone(content), make([]byte, (blockSize-len(content)%blockSize)%blockSize)...)
	s := veritytable.Superblock{
		HashType: 1, UUID: [16]byte{1, 2, 3}, Algorithm: algorithm, DataBlockSize: blockSize, HashBlockSize: blockSize,
		DataBlocks: uint64(len(padded) / blockSize), Salt: []byte("salt of the tests"),
	}
	tree, rootHash = hashtreetest.Build(s, 0, padded)
	return padded, tree, rootHash
}

// Build panics on values that no test means.
func (i Image) Build() Built {
	algorithm := i.Algorithm
	if algorithm == "" {
		algorithm = "sha256"
	}
	content, tree, root := Tree(i.Content, algorithm)
	types := [3]string{TypeRoot, TypeRootVerity, TypeRootSignature}
	if i.Usr {
		types = [3]string{TypeUsr, TypeUsrVerity, TypeUsrSignature}
	}
	if i.DataType != "" {
		types[0] = i.DataType
	}
	disk := gpttest.Disk{SectorSize: i.SectorSize, Partitions: []gpttest.Partition{
		{Type: GUID(types[0]), ID: gpt.GUID(root[:16]), Name: "data", Attributes: gpt.AttributeReadOnly, Data: content},
	}}
	if !i.NoVerity {
		disk.Partitions = append(disk.Partitions, gpttest.Partition{
			Type: GUID(types[1]), ID: gpt.GUID(root[len(root)-16:]), Name: "hash", Attributes: gpt.AttributeReadOnly, Data: tree,
		})
	}
	if i.Sign != nil {
		hash := fmt.Sprintf("%x", root)
		text := fmt.Sprintf(`{"rootHash":"%s","certificateFingerprint":"%064d","signature":"%s"}`,
			hash, 0, base64.StdEncoding.EncodeToString(i.Sign(hash)))
		disk.Partitions = append(disk.Partitions, gpttest.Partition{
			Type: GUID(types[2]), ID: GUID("00000000-0000-0000-0000-000000000001"), Name: "sig", Data: []byte(text),
		})
	}
	b := Built{Data: disk.Bytes(), RootHash: root, DataSize: len(content), HashSize: len(tree)}
	table, err := gpt.Read(bytes.NewReader(b.Data), int64(len(b.Data)), max(512, i.SectorSize))
	if err != nil {
		panic(fmt.Sprintf("build DDI: %v", err))
	}
	b.DataStart = int(table.Offset(table.Entries[0]))
	if !i.NoVerity {
		b.HashStart = int(table.Offset(table.Entries[1]))
	}
	return b
}

// MBR makes an image with an MBR and one active Linux partition, which holds content.
func MBR(content []byte) []byte {
	const start = 1 << 20
	sectors := (len(content) + 511) / 512
	image := make([]byte, start+sectors*512)
	copy(image[start:], content)
	entry := image[446:]
	entry[0], entry[4] = 0x80, 0x83
	binary.LittleEndian.PutUint32(entry[8:], start/512)
	binary.LittleEndian.PutUint32(entry[12:], uint32(sectors))
	image[510], image[511] = 0x55, 0xaa
	return image
}

// GUID parses a GUID that is known to be right.
func GUID(text string) gpt.GUID {
	g, err := gpt.ParseGUID(text)
	if err != nil {
		panic(err)
	}
	return g
}

// Hash is the root hash as text.
func (b Built) Hash() string { return hex.EncodeToString(b.RootHash) }

// Damage returns a copy with one bit of a byte turned over.
func (b Built) Damage(offset int) Built {
	b.Data = bytes.Clone(b.Data)
	b.Data[offset] ^= 1
	return b
}
