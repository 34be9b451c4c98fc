package gpt_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
)

func sample(t testing.TB, sectorSize int) gpttest.Disk {
	return gpttest.Disk{
		SectorSize: sectorSize,
		ID:         mustParse(t, "00112233-4455-6677-8899-aabbccddeeff"),
		Partitions: []gpttest.Partition{
			{
				Type: mustParse(t, usrVerity), ID: mustParse(t, "40a73640-55fe-bfb5-a89c-bf25796923d6"),
				Name: "usr-verity", Attributes: gpt.AttributeReadOnly, Data: []byte("first"),
			},
			{}, // an unused entry between two used ones
			{
				Type: mustParse(t, "0fc63daf-8483-4772-8e79-3d69d8477de4"),
				Name: "größe \U0001f427 " + strings.Repeat("x", 27), Data: bytes.Repeat([]byte("third"), 2000),
				Attributes: gpt.AttributeNoAuto | gpt.AttributeGrowFS,
			},
		},
	}
}

func TestReadFindsPartitions(t *testing.T) {
	for _, sectorSize := range []int{512, 1024, 2048, 4096} {
		image := sample(t, sectorSize).Bytes()
		for name, read := range map[string]func() (*gpt.Table, error){
			"Read":      func() (*gpt.Table, error) { return gpt.Read(bytes.NewReader(image), int64(len(image)), sectorSize) },
			"ReadImage": func() (*gpt.Table, error) { return gpt.ReadImage(bytes.NewReader(image), int64(len(image))) },
		} {
			t.Run(fmt.Sprintf("%s %d", name, sectorSize), func(t *testing.T) {
				table, err := read()
				if err != nil {
					t.Fatal(err)
				}
				checkSample(t, table, image, sectorSize)
				if table.FromBackup {
					t.Error("FromBackup is set for a good primary table")
				}
			})
		}
	}
}

func checkSample(t *testing.T, table *gpt.Table, image []byte, sectorSize int) {
	t.Helper()
	if got := table.Disk.String(); got != "00112233-4455-6677-8899-aabbccddeeff" || table.SectorSize != sectorSize {
		t.Errorf("disk %s with sectors of %d", got, table.SectorSize)
	}
	if len(table.Entries) != 2 {
		t.Fatalf("%d entries, want 2", len(table.Entries))
	}
	first, third := table.Entries[0], table.Entries[1]
	if first.Number != 1 || third.Number != 3 {
		t.Errorf("numbers %d and %d, want 1 and 3", first.Number, third.Number)
	}
	if first.Type.String() != usrVerity || first.ID.String() != "40a73640-55fe-bfb5-a89c-bf25796923d6" {
		t.Errorf("type %s, id %s", first.Type, first.ID)
	}
	if first.Name != "usr-verity" || third.Name != "größe \U0001f427 "+strings.Repeat("x", 27) {
		t.Errorf("names %q and %q", first.Name, third.Name)
	}
	if first.Attributes != 1<<60 || third.Attributes != 1<<63|1<<59 {
		t.Errorf("attributes %x and %x", first.Attributes, third.Attributes)
	}
	if size := table.Size(first); size != 4096 {
		t.Errorf("first partition has %d bytes, want 4096", size)
	}
	if size := table.Size(third); size != 12288 {
		t.Errorf("third partition has %d bytes, want 12288", size)
	}
	for entry, content := range map[*gpt.Entry]string{&first: "first", &third: "third"} {
		if !strings.HasPrefix(string(image[table.Offset(*entry):]), content) {
			t.Errorf("offset %d of partition %d is wrong", table.Offset(*entry), entry.Number)
		}
	}
}

// A header written by hand from the tables in chapter 5 of the UEFI specification, not by the
// builder the other tests use: reader and builder must not share a mistake.
func TestReadsHandWrittenTable(t *testing.T) {
	image := make([]byte, 8*512)
	image[450], image[510], image[511] = 0xee, 0x55, 0xaa
	header := "4546492050415254000001005c000000" + // signature, revision 1.0, size 92
		"fdd4046a00000000" + // checksum of the header, reserved
		"0100000000000000" + "0700000000000000" + // this and the other header
		"0600000000000000" + "0600000000000000" + // usable
		"000102030405060708090a0b0c0d0e0f" + // disk
		"0200000000000000" + "04000000" + "80000000" + "c52929da" // entries: place, count, size, checksum
	entry := "af3dc60f838472478e793d69d8477de4" + "33221100554477668899aabbccddeeff" +
		"0600000000000000" + "0600000000000000" + "0100000000000000" + "61000000"
	writeHex(t, image[512:], header)
	writeHex(t, image[1024:], entry)

	table, err := gpt.Read(bytes.NewReader(image), int64(len(image)), 512)
	if err != nil {
		t.Fatal(err)
	}
	want := []gpt.Entry{{
		Number: 1, Type: mustParse(t, "0fc63daf-8483-4772-8e79-3d69d8477de4"),
		ID: mustParse(t, "00112233-4455-6677-8899-aabbccddeeff"), FirstLBA: 6, LastLBA: 6, Attributes: 1, Name: "a",
	}}
	if !slices.Equal(table.Entries, want) || table.Disk.String() != "03020100-0504-0706-0809-0a0b0c0d0e0f" {
		t.Errorf("got disk %s, entries %+v", table.Disk, table.Entries)
	}
}

func writeHex(t *testing.T, to []byte, digits string) {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	copy(to, b)
}

func TestBackupIsUsedWhenPrimaryIsBad(t *testing.T) {
	for name, damage := range map[string]func(image []byte, sector int){
		"header wiped":     func(image []byte, sector int) { clear(image[sector : 2*sector]) },
		"header bit":       func(image []byte, sector int) { image[sector+40] ^= 1 },
		"entries bit":      func(image []byte, sector int) { image[2*sector+33] ^= 1 },
		"entries far away": func(image []byte, sector int) { put64(image, sector, 1, 72, 1<<60); gpttest.Seal(image, sector, 1) },
	} {
		for _, sector := range []int{512, 4096} {
			t.Run(fmt.Sprintf("%s %d", name, sector), func(t *testing.T) {
				image := sample(t, sector).Bytes()
				damage(image, sector)
				table, err := gpt.Read(bytes.NewReader(image), int64(len(image)), sector)
				if err != nil {
					t.Fatal(err)
				}
				if !table.FromBackup {
					t.Error("FromBackup is not set")
				}
				checkSample(t, table, image, sector)
				if table, err = gpt.ReadImage(bytes.NewReader(image), int64(len(image))); err != nil {
					t.Fatalf("ReadImage: %v", err)
				}
				checkSample(t, table, image, sector)
			})
		}
	}
}

func put32(image []byte, sectorSize, sector, field int, value uint32) {
	binary.LittleEndian.PutUint32(image[sector*sectorSize+field:], value)
}

func put64(image []byte, sectorSize, sector, field int, value uint64) {
	binary.LittleEndian.PutUint64(image[sector*sectorSize+field:], value)
}

// Every field out of its range, in both headers and with right checksums: the message
// names what is wrong.
func TestRefusesHostileHeaders(t *testing.T) {
	const sector = 512
	last := uint64(gpttest.Backup(sample(t, sector).Bytes(), sector))
	for name, test := range map[string]struct {
		change func(image []byte, header int)
		want   string
	}{
		"revision":           {func(b []byte, h int) { put32(b, sector, h, 8, 0x20000) }, "revision 2"},
		"size small":         {func(b []byte, h int) { put32(b, sector, h, 12, 91) }, "header size is 91"},
		"size large":         {func(b []byte, h int) { put32(b, sector, h, 12, 513) }, "header size is 513"},
		"size huge":          {func(b []byte, h int) { put32(b, sector, h, 12, 1<<31) }, "header size is 2147483648"},
		"own place":          {func(b []byte, h int) { put64(b, sector, h, 24, 7) }, "says it is sector 7"},
		"last usable":        {func(b []byte, h int) { put64(b, sector, h, 48, last+1) }, fmt.Sprintf("disk ends at %d", last)},
		"last usable huge":   {func(b []byte, h int) { put64(b, sector, h, 48, 1<<64-1) }, "last usable sector is 18446744073709551615"},
		"usable reversed":    {func(b []byte, h int) { put64(b, sector, h, 40, last) }, "before they start"},
		"no entries":         {func(b []byte, h int) { put32(b, sector, h, 80, 0) }, "table has 0 entries"},
		"many entries":       {func(b []byte, h int) { put32(b, sector, h, 80, 1025) }, "table has 1025 entries, not within 1 to 1024"},
		"most entries":       {func(b []byte, h int) { put32(b, sector, h, 80, 1<<32-1) }, "table has 4294967295 entries"},
		"entry small":        {func(b []byte, h int) { put32(b, sector, h, 84, 64) }, "entry has 64 bytes"},
		"entry zero":         {func(b []byte, h int) { put32(b, sector, h, 84, 0) }, "entry has 0 bytes"},
		"entry odd":          {func(b []byte, h int) { put32(b, sector, h, 84, 129) }, "entry has 129 bytes"},
		"entry large":        {func(b []byte, h int) { put32(b, sector, h, 84, 8192) }, "entry has 8192 bytes"},
		"entries on the MBR": {func(b []byte, h int) { put64(b, sector, h, 72, 0) }, "entries at sector 0"},
		"entries outside":    {func(b []byte, h int) { put64(b, sector, h, 72, last-30) }, "(32 sectors) are not within"},
		"entries overflow":   {func(b []byte, h int) { put64(b, sector, h, 72, 1<<64-1) }, "entries at sector 18446744073709551615"},
		"array outside":      {func(b []byte, h int) { put32(b, sector, h, 80, 1024); put32(b, sector, h, 84, 4096) }, "(8192 sectors)"},
	} {
		t.Run(name, func(t *testing.T) {
			image := sample(t, sector).Bytes()
			for _, header := range []int{1, int(last)} {
				test.change(image, header)
				gpttest.Seal(image, sector, header)
			}
			_, err := gpt.Read(bytes.NewReader(image), int64(len(image)), sector)
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Count(err.Error(), test.want) != 2 {
				t.Errorf("error %q does not say %q for both tables", err, test.want)
			}
			if errors.Is(err, gpt.ErrNoTable) {
				t.Errorf("error %q is ErrNoTable although there is a table", err)
			}
		})
	}
}

func TestLeavesOutEntriesOutsideTheDisk(t *testing.T) {
	const sector, entry = 512, 1024
	for name, change := range map[string]func(image []byte){
		"reversed":     func(b []byte) { binary.LittleEndian.PutUint64(b[entry+32:], 1<<40) },
		"ends outside": func(b []byte) { binary.LittleEndian.PutUint64(b[entry+40:], uint64(len(b)/sector)) },
		"all ones": func(b []byte) {
			binary.LittleEndian.PutUint64(b[entry+32:], 1<<64-1)
			binary.LittleEndian.PutUint64(b[entry+40:], 1<<64-1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			image := sample(t, sector).Bytes()
			change(image)
			gpttest.Seal(image, sector, 1)
			table, err := gpt.Read(bytes.NewReader(image), int64(len(image)), sector)
			if err != nil {
				t.Fatal(err)
			}
			if table.FromBackup || len(table.Entries) != 1 || table.Entries[0].Number != 3 {
				t.Errorf("got %+v, want partition 3 only", table)
			}
		})
	}
}

func TestNoTable(t *testing.T) {
	good := sample(t, 512).Bytes()
	without := func(change func(b []byte)) []byte {
		image := slices.Clone(good)
		change(image)
		return image
	}
	for name, image := range map[string][]byte{
		"empty":       nil,
		"one sector":  make([]byte, 512),
		"two sectors": good[:1024],
		"zeros":       make([]byte, 1<<20),
		"MBR only":    without(func(b []byte) { clear(b[512:]) }),
		"another MBR": without(func(b []byte) { b[450] = 0x83 }),
		"no MBR":      without(func(b []byte) { b[510] = 0 }),
		"only the backup, as a file system on an old disk has it": without(func(b []byte) { clear(b[:20480]) }),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := gpt.Read(bytes.NewReader(image), int64(len(image)), 512); !errors.Is(err, gpt.ErrNoTable) {
				t.Errorf("Read: %v, want ErrNoTable", err)
			}
			if _, err := gpt.ReadImage(bytes.NewReader(image), int64(len(image))); !errors.Is(err, gpt.ErrNoTable) {
				t.Errorf("ReadImage: %v, want ErrNoTable", err)
			}
		})
	}
	if _, err := gpt.Read(bytes.NewReader(make([]byte, 1<<20)), 1<<20, 512); err != gpt.ErrNoTable {
		t.Errorf("zeros: %v, want nothing but ErrNoTable", err)
	}
	if _, err := gpt.Read(bytes.NewReader(good), -1, 512); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("Read with a negative size: %v", err)
	}
}

// The largest and smallest that is allowed.
func TestAcceptsTheLimits(t *testing.T) {
	const sector = 512
	last := uint64(gpttest.Backup(sample(t, sector).Bytes(), sector))
	for name, change := range map[string]func(b []byte){
		"header fills its sector": func(b []byte) { put32(b, sector, 1, 12, 512) },
		"usable to the end":       func(b []byte) { put64(b, sector, 1, 48, last) },
		"one usable sector":       func(b []byte) { put64(b, sector, 1, 40, last); put64(b, sector, 1, 48, last) },
		"one entry":               func(b []byte) { put32(b, sector, 1, 80, 1) },
		"one large entry":         func(b []byte) { put32(b, sector, 1, 80, 1); put32(b, sector, 1, 84, 4096) },
		"most entries": func(b []byte) {
			put32(b, sector, 1, 80, 1024)
			put32(b, sector, 1, 84, 128)
			clear(b[1024+16384 : 1024+131072])
		},
		"entries at the end": func(b []byte) {
			put32(b, sector, 1, 80, 4)
			put64(b, sector, 1, 72, last)
			copy(b[last*512:], b[1024:1536])
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := sample(t, sector)
			disk.Partitions[2].Data = make([]byte, 200<<10) // room for 1024 entries
			image := disk.Bytes()
			last = uint64(gpttest.Backup(image, sector))
			change(image)
			gpttest.Seal(image, sector, 1)
			table, err := gpt.Read(bytes.NewReader(image), int64(len(image)), sector)
			if err != nil {
				t.Fatal(err)
			}
			if table.FromBackup || len(table.Entries) == 0 || table.Entries[0].Name != "usr-verity" {
				t.Errorf("table %+v", table)
			}
		})
	}
}

func TestSmallestDisk(t *testing.T) {
	image := make([]byte, 3*512)
	image[450], image[510], image[511] = 0xee, 0x55, 0xaa
	copy(image[512:], "EFI PART")
	for field, value := range map[int]uint32{8: 0x10000, 12: 92, 24: 1, 40: 2, 48: 2, 72: 2, 80: 4, 84: 128} {
		put32(image, 512, 1, field, value)
	}
	gpttest.Seal(image, 512, 1)
	table, err := gpt.Read(bytes.NewReader(image), int64(len(image)), 512)
	if err != nil || len(table.Entries) != 0 {
		t.Errorf("table %+v, %v", table, err)
	}
}

func TestMissingProtectiveMBRIsNamed(t *testing.T) {
	image := sample(t, 512).Bytes()
	clear(image[:512])
	_, err := gpt.Read(bytes.NewReader(image), int64(len(image)), 512)
	if err == nil || !strings.Contains(err.Error(), "no protective MBR") {
		t.Errorf("error %v does not name the MBR", err)
	}
}

func TestRefusesSectorSizes(t *testing.T) {
	image := sample(t, 512).Bytes()
	for _, size := range []int{-512, 0, 1, 511, 520, 8192} {
		if _, err := gpt.Read(bytes.NewReader(image), int64(len(image)), size); err == nil {
			t.Errorf("sector size %d is accepted", size)
		}
	}
}

// Two readers that prefer different sector sizes would see different partitions.
func TestReadImageRefusesTwoSectorSizes(t *testing.T) {
	image := sample(t, 4096).Bytes()
	copy(image[512:], sample(t, 512).Bytes()[512:1024])
	_, err := gpt.ReadImage(bytes.NewReader(image), int64(len(image)))
	if err == nil || !strings.Contains(err.Error(), "512 and 4096") {
		t.Errorf("error %v does not name the two sizes", err)
	}
}

// A backup for another sector size, hidden in the last bytes, must not win over a primary table.
func TestReadImagePrefersThePrimary(t *testing.T) {
	image := sample(t, 4096).Bytes()
	last := len(image)/512 - 1
	copy(image[last*512:], sample(t, 512).Bytes()[512:604])
	put64(image, 512, last, 24, uint64(last))
	put64(image, 512, last, 72, 3) // four empty entries
	put32(image, 512, last, 80, 4)
	gpttest.Seal(image, 512, last)
	if _, err := gpt.Read(bytes.NewReader(image), int64(len(image)), 512); err != nil {
		t.Fatalf("the trap does not work: %v", err)
	}
	table, err := gpt.ReadImage(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	checkSample(t, table, image, 4096)
}

func TestTruncatedImageSaysSo(t *testing.T) {
	image := sample(t, 512).Bytes()
	image = image[:len(image)-20000]
	_, err := gpt.ReadImage(bytes.NewReader(image), int64(len(image)))
	if err == nil || !strings.Contains(err.Error(), "the disk ends at") {
		t.Errorf("error %v does not tell that the image is too short", err)
	}
}

type brokenReader struct {
	data []byte
	from int64
}

var errMedium = errors.New("medium error")

func (b brokenReader) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > b.from {
		return 0, errMedium
	}
	return bytes.NewReader(b.data).ReadAt(p, offset)
}

func TestReadErrorsAreKept(t *testing.T) {
	image := sample(t, 512).Bytes()
	for _, from := range []int64{0, 512, 1024} {
		_, err := gpt.Read(brokenReader{image, from}, int64(len(image)), 512)
		if !errors.Is(err, errMedium) || errors.Is(err, gpt.ErrNoTable) {
			t.Errorf("unreadable from byte %d: error is %v, want the medium error", from, err)
		}
	}
	_, err := gpt.Read(brokenReader{image, 1024}, int64(len(image)), 512)
	if err == nil || !strings.Contains(err.Error(), "primary: entries in sector 2: medium error") {
		t.Errorf("unreadable entries: %v", err)
	}
	if _, err := gpt.ReadImage(brokenReader{image, 512}, int64(len(image))); !errors.Is(err, errMedium) {
		t.Errorf("ReadImage: error is %v, want the medium error", err)
	}
	// The size is larger than what can be read.
	if _, err := gpt.Read(bytes.NewReader(image[:1100]), int64(len(image)), 512); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short file: error is %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, sectorSize := range []int{512, 4096} {
		image := sample(f, sectorSize).Bytes()
		f.Add(image, true)
		f.Add(image[:len(image)-sectorSize], true)
		clear(image[sectorSize : 2*sectorSize])
		f.Add(image, true)
	}
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, image []byte, seal bool) {
		if seal && len(image) >= 3*512 { // get past the checksum
			gpttest.Seal(image, 512, 1)
		}
		r, size := bytes.NewReader(image), int64(len(image))
		tables := []*gpt.Table{}
		for _, sectorSize := range []int{512, 1024, 2048, 4096} {
			table, err := gpt.Read(r, size, sectorSize)
			if (table == nil) == (err == nil) {
				t.Fatalf("table %v, error %v", table, err)
			}
			tables = append(tables, table)
		}
		table, _ := gpt.ReadImage(r, size)
		for _, table := range append(tables, table) {
			if table == nil {
				continue
			}
			for _, entry := range table.Entries {
				start, length := table.Offset(entry), table.Size(entry)
				if start < 0 || length <= 0 || start > size || length > size-start {
					t.Errorf("entry %+v is at %d, %d bytes, in a disk of %d", entry, start, length, size)
				}
			}
		}
	})
}
