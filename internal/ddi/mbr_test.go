package ddi

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/osrelease"
)

// mbrEntry is a partition in an MBR, in sectors.
type mbrEntry struct {
	status, kind  byte
	start, length uint32
}

func mbr(entries ...mbrEntry) []byte {
	content := make([]byte, 64<<10)
	for i, e := range entries {
		at := content[446+16*i:]
		at[0], at[4] = e.status, e.kind
		binary.LittleEndian.PutUint32(at[8:], e.start)
		binary.LittleEndian.PutUint32(at[12:], e.length)
	}
	content[510], content[511] = 0x55, 0xaa
	return content
}

func TestMBR(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"one active":    {mbr(mbrEntry{0x80, 0x83, 8, 16}), ""},
		"not the first": {mbr(mbrEntry{}, mbrEntry{0x80, 0x83, 8, 16}), ""},
		"not active":    {mbr(mbrEntry{0, 0x83, 8, 16}), "without an active Linux partition"},
		"another type":  {mbr(mbrEntry{0x80, 0x07, 8, 16}), "without an active Linux partition"},
		"two":           {mbr(mbrEntry{0x80, 0x83, 8, 16}, mbrEntry{0, 0x83, 24, 16}), "more than one partition"},
		"too long":      {mbr(mbrEntry{0x80, 0x83, 8, 1 << 31}), "not inside the image"},
		"at the table":  {mbr(mbrEntry{0x80, 0x83, 0, 16}), "not inside the image"},
		"none":          {mbr(), "neither a partition table nor"},
		"a boot sector": {mbr(mbrEntry{0x20, 0x83, 8, 16}), "neither a partition table nor"},
	} {
		image, err := Dissect(bytes.NewReader(c.content), int64(len(c.content)), ofClass(osrelease.ClassConfext, "amd64"))
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case c.want == "" && (err != nil || image.Kind != KindMBR || *image.Data != Area{Offset: 8 * 512, Size: 16 * 512}):
			t.Errorf("%s: %+v, %v", name, image, err)
		}
	}
}

// A root hash that is known from beside the image chooses the partitions that go with it.
func TestRootHashFromBeside(t *testing.T) {
	content := gpttest.Disk{Partitions: []gpttest.Partition{
		partition(typeRoot, other, "9"), partition(typeRootVerity, other, "9"),
		partition(typeRoot, data1, "1"), partition(typeRootVerity, tree1, "1"), signaturePartition(typeRootSignature, strings.Repeat("ab", 32)),
	}}.Bytes()
	options := ofClass(osrelease.ClassConfext, "amd64")
	options.RootHash, _ = hex.DecodeString(hash1)
	image, err := Dissect(bytes.NewReader(content), int64(len(content)), options)
	if err != nil {
		t.Fatal(err)
	}
	if image.Data.ID != guid(data1) || image.Hash.ID != guid(tree1) || hex.EncodeToString(image.RootHash) != hash1 ||
		image.RootHashFrom != FromSidecar || image.Signed != nil || image.Signature != nil {
		t.Errorf("%+v", image)
	}
	options.RootHash[0]++
	if image, err := Dissect(bytes.NewReader(content), int64(len(content)), options); err == nil {
		t.Errorf("%+v", image)
	}
}
