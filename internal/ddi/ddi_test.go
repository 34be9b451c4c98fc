package ddi

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/superblock"
)

// Types on x86-64, written out here once more: the table must not be compared with itself.
const (
	typeRoot          = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	typeRootVerity    = "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"
	typeRootSignature = "41092b05-9fc8-4523-994f-2def0408b176"
	typeUsr           = "8484680c-9521-48c6-9c11-b0720656f69e"
	typeUsrVerity     = "77ff5f63-e7b6-4633-acf4-1565b864c0e6"
	typeUsrSignature  = "e7bb33fb-06cf-4e81-8273-e543b413e2e2"
	typeRootARM64     = "b921b045-1df0-41c3-af44-4c6f280d3fae"
	typeRootARM       = "69dad710-2ce4-4e3c-b16c-21a1d49abed3"
	typeRootX86       = "44479540-f297-41b2-9af7-d131d5f0458a"
	typeGeneric       = "0fc63daf-8483-4772-8e79-3d69d8477de4"
	typeESP           = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

	hash1 = "18970fceae80f3798621aaf88db5874840a7364055febfb5a89cbf25796923d6"
	data1 = "18970fce-ae80-f379-8621-aaf88db58748"
	tree1 = "40a73640-55fe-bfb5-a89c-bf25796923d6"
	other = "c325e1a0-a28b-47a5-9815-cf7ac73b9574"
)

func guid(text string) gpt.GUID {
	g, err := gpt.ParseGUID(text)
	if err != nil {
		panic(err)
	}
	return g
}

func partition(partitionType, id, name string) gpttest.Partition {
	return gpttest.Partition{Type: guid(partitionType), ID: guid(id), Name: name, Attributes: gpt.AttributeReadOnly}
}

func signaturePartition(partitionType, rootHash string) gpttest.Partition {
	p := partition(partitionType, other, "sig")
	p.Data = []byte(fmt.Sprintf(`{"rootHash":%q,"signature":%q}`, rootHash, base64.StdEncoding.EncodeToString([]byte("DER"))))
	return p
}

// ofClass are the options that the default policy of a class comes to.
func ofClass(class osrelease.Class, goarch string) Options {
	return Options{Architecture: osrelease.Architecture(goarch), NoUsr: class == osrelease.ClassConfext}
}

func dissect(t *testing.T, class osrelease.Class, goarch string, partitions ...gpttest.Partition) (*Image, error) {
	t.Helper()
	content := gpttest.Disk{Partitions: partitions}.Bytes()
	image, err := Dissect(bytes.NewReader(content), int64(len(content)), ofClass(class, goarch))
	if (image == nil) == (err == nil) {
		t.Fatalf("image %v, error %v", image, err)
	}
	return image, err
}

func TestSignedImage(t *testing.T) {
	for _, sectorSize := range []int{512, 4096} {
		content := gpttest.Disk{SectorSize: sectorSize, Partitions: []gpttest.Partition{
			partition(typeRoot, data1, "root-x86-64"),
			partition(typeRootVerity, tree1, "root-x86-64-verity"),
			signaturePartition(typeRootSignature, hash1),
		}}.Bytes()
		image, err := Dissect(bytes.NewReader(content), int64(len(content)), ofClass(osrelease.ClassConfext, "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		if image.Kind != KindGPT || image.SectorSize != sectorSize || image.FileSystem != "" || image.UsrOnly {
			t.Errorf("image %+v", image)
		}
		start := image.Data.Offset
		want := []Area{
			{start, 4096, guid(data1)}, {start + 4096, 4096, guid(tree1)}, {start + 8192, 4096, guid(other)},
		}
		if got := []Area{*image.Data, *image.Hash, *image.Signature}; !slices.Equal(got, want) || start%4096 != 0 || start < 16384 {
			t.Errorf("areas %v, want %v", got, want)
		}
		if hex.EncodeToString(image.RootHash) != hash1 || image.RootHashFrom != FromSignaturePartition {
			t.Errorf("root hash %x from %s", image.RootHash, image.RootHashFrom)
		}
		if string(image.Signed.Signature) != "DER" {
			t.Errorf("signature %q", image.Signed.Signature)
		}
	}
}

func TestRootHashFromPartitionUUIDs(t *testing.T) {
	image, err := dissect(t, osrelease.ClassConfext, "amd64",
		partition(typeRootVerity, tree1, ""), partition(typeRoot, data1, ""))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(image.RootHash) != hash1 || image.RootHashFrom != FromPartitionUUIDs {
		t.Errorf("root hash %x from %q", image.RootHash, image.RootHashFrom)
	}
	if image.Signature != nil || image.Signed != nil {
		t.Errorf("a signature out of nowhere: %+v", image)
	}
}

// The signature partition is asked first; whether its hash fits is for the verification to find
// out.
func TestSignaturePartitionBeatsUUIDs(t *testing.T) {
	wanted := strings.Repeat("ab", 32)
	image, err := dissect(t, osrelease.ClassConfext, "amd64",
		partition(typeRoot, data1, ""), partition(typeRootVerity, tree1, ""), signaturePartition(typeRootSignature, wanted))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(image.RootHash) != wanted {
		t.Errorf("root hash %x, want %s", image.RootHash, wanted)
	}
}

func TestNoVerityNoRootHash(t *testing.T) {
	image, err := dissect(t, osrelease.ClassConfext, "amd64", partition(typeRoot, data1, ""))
	if err != nil {
		t.Fatal(err)
	}
	if image.RootHash != nil || image.RootHashFrom != "" || image.Hash != nil || image.Data.ID != guid(data1) {
		t.Errorf("image %+v", image)
	}
}

func TestChoosesPartition(t *testing.T) {
	noAuto := partition(typeRoot, data1, "9")
	noAuto.Attributes = gpt.AttributeNoAuto
	const a, b = "aaaaaaaa-0000-0000-0000-000000000000", "bbbbbbbb-0000-0000-0000-000000000000"
	for name, test := range map[string]struct {
		class      osrelease.Class
		goarch     string
		partitions []gpttest.Partition
		want       string // UUID of the data partition
		usr        bool
	}{
		"newest label":             {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeRoot, a, "x_10"), partition(typeRoot, b, "x_9")}, a, false},
		"newest label second":      {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeRoot, a, "x_9"), partition(typeRoot, b, "x_10")}, b, false},
		"equal labels":             {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeRoot, a, "x_1"), partition(typeRoot, b, "x1")}, a, false},
		"native before newer":      {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeRootARM64, a, "9"), partition(typeRoot, b, "1")}, b, false},
		"native first":             {osrelease.ClassConfext, "arm64", []gpttest.Partition{partition(typeRootARM64, a, "1"), partition(typeRoot, b, "9")}, a, false},
		"secondary before foreign": {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeRootARM64, a, "9"), partition(typeRootX86, b, "1")}, b, false},
		"arm on arm64":             {osrelease.ClassConfext, "arm64", []gpttest.Partition{partition(typeRoot, a, "9"), partition(typeRootARM, b, "1")}, b, false},
		"arm on amd64":             {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeRootARM64, a, "9"), partition(typeRootARM, b, "1")}, a, false},
		"lone foreign one":         {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeRootARM64, a, "")}, a, false},
		"unknown machine":          {osrelease.ClassConfext, "wasm", []gpttest.Partition{partition(typeRoot, a, "")}, a, false},
		"emptied one":              {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeRoot, a, "_empty"), partition(typeRoot, b, "0")}, b, false},
		"not to be found":          {osrelease.ClassConfext, "amd64", []gpttest.Partition{noAuto, partition(typeRoot, b, "1")}, b, false},
		"others ignored":           {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeESP, a, "9"), partition(typeRoot, b, "")}, b, false},
		"generic":                  {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeESP, a, ""), partition(typeGeneric, b, "")}, b, false},
		"root before generic":      {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeGeneric, a, "9"), partition(typeGeneric, a, "9"), partition(typeRoot, b, "")}, b, false},
		"confext, usr ignored":     {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeUsr, a, ""), partition(typeUsrSignature, a, ""), partition(typeRoot, b, "")}, b, false},
		"confext, generic":         {osrelease.ClassConfext, "amd64", []gpttest.Partition{partition(typeUsr, a, ""), partition(typeGeneric, b, "")}, b, false},
		"sysext root":              {osrelease.ClassSysext, "amd64", []gpttest.Partition{partition(typeRoot, a, "")}, a, false},
		"sysext usr":               {osrelease.ClassSysext, "amd64", []gpttest.Partition{partition(typeUsr, a, "")}, a, true},
		"sysext usr, not generic":  {osrelease.ClassSysext, "amd64", []gpttest.Partition{partition(typeGeneric, a, ""), partition(typeUsr, b, "")}, b, true},
	} {
		t.Run(name, func(t *testing.T) {
			image, err := dissect(t, test.class, test.goarch, test.partitions...)
			if err != nil {
				t.Fatal(err)
			}
			if image.Data.ID.String() != test.want || image.UsrOnly != test.usr {
				t.Errorf("partition %s, usr %v; want %s, %v", image.Data.ID, image.UsrOnly, test.want, test.usr)
			}
		})
	}
}

func TestUsrVerity(t *testing.T) {
	image, err := dissect(t, osrelease.ClassSysext, "amd64",
		partition(typeUsr, data1, ""), partition(typeUsrVerity, tree1, ""), signaturePartition(typeUsrSignature, hash1))
	if err != nil {
		t.Fatal(err)
	}
	if !image.UsrOnly || image.Hash.ID != guid(tree1) || image.Signature == nil || hex.EncodeToString(image.RootHash) != hash1 {
		t.Errorf("image %+v", image)
	}
}

func TestRefusesTables(t *testing.T) {
	root, usr := partition(typeRoot, data1, ""), partition(typeUsr, data1, "")
	rootTree, usrTree := partition(typeRootVerity, tree1, ""), partition(typeUsrVerity, tree1, "")
	rootSig, usrSig := signaturePartition(typeRootSignature, hash1), signaturePartition(typeUsrSignature, hash1)
	generic := partition(typeGeneric, data1, "")
	tooLarge := signaturePartition(typeRootSignature, hash1)
	tooLarge.Data = make([]byte, 4<<20+1)
	badSig := partition(typeRootSignature, other, "")
	for name, test := range map[string]struct {
		class      osrelease.Class
		partitions []gpttest.Partition
		want       string
	}{
		"nothing":                {osrelease.ClassSysext, nil, "a partition table without a root or usr partition"},
		"nothing for a confext":  {osrelease.ClassConfext, []gpttest.Partition{usr}, "a partition table without a root partition"},
		"tree only":              {osrelease.ClassConfext, []gpttest.Partition{rootTree}, "no root partition"},
		"tree and generic":       {osrelease.ClassConfext, []gpttest.Partition{rootTree, generic}, "no root partition"},
		"signature only":         {osrelease.ClassConfext, []gpttest.Partition{rootSig}, "no root partition"},
		"signature, no tree":     {osrelease.ClassConfext, []gpttest.Partition{root, rootSig}, "no hash tree partition"},
		"usr signature, no tree": {osrelease.ClassSysext, []gpttest.Partition{usr, usrSig}, "no hash tree partition"},
		"usr tree only":          {osrelease.ClassSysext, []gpttest.Partition{usrTree}, "no usr partition"},
		"usr tree beside root":   {osrelease.ClassSysext, []gpttest.Partition{root, usrTree}, "no usr partition"},
		"root and usr":           {osrelease.ClassSysext, []gpttest.Partition{root, usr}, "both a root and a usr partition"},
		"both with verity":       {osrelease.ClassSysext, []gpttest.Partition{root, rootTree, usr, usrTree}, "both a root and a usr partition"},
		"two generic":            {osrelease.ClassConfext, []gpttest.Partition{generic, generic}, "more than one of plain Linux data"},
		"large signature":        {osrelease.ClassConfext, []gpttest.Partition{root, rootTree, tooLarge}, "signature partition has 4198400 bytes, at most 4194304"},
		"empty signature":        {osrelease.ClassConfext, []gpttest.Partition{root, rootTree, badSig}, "signature partition is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dissect(t, test.class, "amd64", test.partitions...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			} else if len(err.Error()) > 80 {
				t.Errorf("error has %d characters: %v", len(err.Error()), err)
			}
		})
	}
}

// bare returns the start of a file system of 64 KiB.
func bare(kind superblock.Kind) []byte {
	b := make([]byte, 64<<10)
	switch kind {
	case superblock.EROFS:
		binary.LittleEndian.PutUint32(b[1024:], 0xe0f5e1e2)
		b[1036] = 12
	case superblock.Ext2:
		binary.LittleEndian.PutUint16(b[1080:], 0xef53)
	case superblock.Squashfs:
		copy(b, "hsqs")
		b[28] = 4
	case superblock.LUKS:
		copy(b, "LUKS\xba\xbe\x00\x02")
	}
	return b
}

func TestBareFileSystem(t *testing.T) {
	for _, kind := range []superblock.Kind{superblock.EROFS, superblock.Squashfs} {
		content := bare(kind)
		image, err := Dissect(bytes.NewReader(content), int64(len(content)), ofClass(osrelease.ClassSysext, "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		if image.Kind != KindFileSystem || image.FileSystem != kind || *image.Data != (Area{Size: 65536}) ||
			image.SectorSize != 512 || image.Hash != nil || image.RootHash != nil || image.RootHashFrom != "" || image.UsrOnly {
			t.Errorf("image %+v, data %+v", image, image.Data)
		}
	}
}

func TestRefusesBareFormats(t *testing.T) {
	two := bare(superblock.EROFS)
	copy(two, bare(superblock.Squashfs)[:512])
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":   {nil, "neither a partition table nor a known file system"},
		"junk":    {bytes.Repeat([]byte("junk"), 5000), "neither a partition table nor a known file system"},
		"LUKS":    {bare(superblock.LUKS), "format crypto_LUKS is not supported"},
		"ext2":    {bare(superblock.Ext2), "format ext2 is not supported"},
		"several": {two, "more than one file system: squashfs, erofs"},
	} {
		_, err := Dissect(bytes.NewReader(test.content), int64(len(test.content)), ofClass(osrelease.ClassSysext, "amd64"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v does not say %q", name, err, test.want)
		}
		if unknown := name == "empty" || name == "junk"; errors.Is(err, ErrUnknown) != unknown {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Which of the two is mounted must not depend on who reads the image.
func TestRefusesTableWithFileSystem(t *testing.T) {
	for _, kind := range []superblock.Kind{superblock.EROFS, superblock.LUKS} {
		content := gpttest.Disk{SectorSize: 4096, Partitions: []gpttest.Partition{partition(typeRoot, data1, "")}}.Bytes()
		mbr := slices.Clone(content[440:512])
		copy(content, bare(kind)[:2048])
		copy(content[440:], mbr)
		_, err := Dissect(bytes.NewReader(content), int64(len(content)), ofClass(osrelease.ClassConfext, "amd64"))
		if err == nil || !strings.Contains(err.Error(), "both a partition table and a file system") {
			t.Errorf("%s: error %v", kind, err)
		}
	}
}

func TestDamagedTableIsNamed(t *testing.T) {
	content := gpttest.Disk{Partitions: []gpttest.Partition{partition(typeRoot, data1, "")}}.Bytes()
	content[512+80]++
	content[len(content)-512+80]++
	_, err := Dissect(bytes.NewReader(content), int64(len(content)), ofClass(osrelease.ClassConfext, "amd64"))
	if err == nil || !strings.Contains(err.Error(), "header checksum") || errors.Is(err, ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

func TestUnreadableImage(t *testing.T) {
	broken := errors.New("medium error")
	if _, err := Dissect(failing{broken}, 1<<20, ofClass(osrelease.ClassConfext, "amd64")); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestTypesOfArchitectures(t *testing.T) {
	seen := map[string]bool{typeGeneric: true}
	for _, row := range partitionTypes {
		for i, text := range row.types {
			if seen[text] {
				t.Errorf("%s stands twice", text)
			}
			seen[text] = true
			p, architecture, ok := findPart(guid(text))
			if !ok || p != part(i) || architecture != row.architecture || text != strings.ToLower(text) {
				t.Errorf("%s is part %d of %s", text, p, architecture)
			}
		}
	}
	for _, goarch := range []string{"amd64", "386", "arm64", "arm", "riscv64", "loong64", "ppc64le", "s390x"} {
		name := osrelease.Architecture(goarch)
		if !slices.ContainsFunc(partitionTypes[:], func(row struct {
			architecture string
			types        [partCount]string
		}) bool {
			return row.architecture == name
		}) {
			t.Errorf("no types for %s", name)
		}
	}
	for text, want := range map[string]part{
		typeRoot: rootData, typeRootVerity: rootHash, typeRootSignature: rootSignature,
		typeUsr: usrData, typeUsrVerity: usrHash, typeUsrSignature: usrSignature, typeRootARM64: rootData, typeRootX86: rootData,
		"df3300ce-d69f-4c92-978c-9bfb0f38d820": rootHash, "6db69de6-29f4-4758-a7a5-962190f00ce3": rootSignature,
		"b0e01050-ee5f-4390-949a-9101b17104e9": usrData, "6e11a4e7-fbca-4ded-b9e9-e1a512bb664e": usrHash,
		"c23ce4ff-44bd-4b00-b2d4-b41b3419e02a": usrSignature,
	} {
		if p, _, ok := findPart(guid(text)); !ok || p != want {
			t.Errorf("%s is part %d, %v; want %d", text, p, ok, want)
		}
	}
}

func FuzzDissect(f *testing.F) {
	f.Add(gpttest.Disk{Partitions: []gpttest.Partition{
		partition(typeRoot, data1, "a"), partition(typeRootVerity, tree1, "b"), signaturePartition(typeRootSignature, hash1),
	}}.Bytes(), true, true)
	f.Add(gpttest.Disk{Partitions: []gpttest.Partition{partition(typeUsr, data1, "")}}.Bytes(), false, true)
	f.Add(bare(superblock.EROFS), true, false)
	f.Fuzz(func(t *testing.T, content []byte, confext, seal bool) {
		if seal && len(content) >= 3*512 {
			gpttest.Seal(content, 512, 1)
		}
		class := osrelease.ClassSysext
		if confext {
			class = osrelease.ClassConfext
		}
		size := int64(len(content))
		if system, err := FindSystem(bytes.NewReader(content), size, "x86-64"); err == nil {
			for _, area := range []*Area{system.Root, system.Usr} {
				if area != nil && (area.Offset < 0 || area.Size < 0 || area.Offset > size-area.Size) {
					t.Errorf("area %+v in an image of %d bytes", area, size)
				}
			}
		}
		image, err := Dissect(bytes.NewReader(content), size, ofClass(class, "amd64"))
		if err != nil {
			if image != nil {
				t.Errorf("image beside the error %v", err)
			}
			return
		}
		for _, area := range []*Area{image.Data, image.Hash, image.Signature} {
			if area != nil && (area.Offset < 0 || area.Size <= 0 || area.Offset > size-area.Size) {
				t.Errorf("area %+v in an image of %d bytes", area, size)
			}
		}
		if image.Data == nil || (image.Hash == nil) != (image.RootHash == nil) || image.Signature != nil && image.Hash == nil ||
			(image.Signature == nil) != (image.Signed == nil) || confext && image.UsrOnly {
			t.Errorf("image %+v", image)
		}
	})
}
