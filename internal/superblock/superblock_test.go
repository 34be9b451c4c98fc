package superblock

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// vector is the start of a device that the format's own tool made, and what blkid says about it.
type vector struct {
	image []byte
	size  int64 // of the whole device, in bytes
	want  Info
}

func readVector(t testing.TB, path string) vector {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	v := vector{want: Info{Clean: true}}
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch word {
		case "#":
		case "size":
			// The rest of the device is zero, so that a part of it will do.
			size, err := strconv.Atoi(rest)
			if err != nil {
				t.Fatal(err)
			}
			v.image, v.size = make([]byte, min(size, 128<<10)), int64(size)
		case "kind":
			v.want.Kind = Kind(rest)
		case "uuid":
			v.want.UUID = rest
		case "label":
			v.want.Label = rest
		default:
			offset, err := strconv.Atoi(word)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			b, err := hex.DecodeString(rest)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			copy(v.image[offset:], b)
		}
	}
	if strings.HasPrefix(string(v.want.Kind), "ext") {
		v.want.Size = v.size // mkfs had no reason to leave anything out
	}
	return v
}

func vectors(t testing.TB) map[string]vector {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) < 18 {
		t.Fatalf("%d vectors, %v", len(paths), err)
	}
	all := map[string]vector{}
	for _, path := range paths {
		all[strings.TrimSuffix(filepath.Base(path), ".txt")] = readVector(t, path)
	}
	return all
}

func TestProbeAgreesWithBlkid(t *testing.T) {
	for name, v := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			got, err := Probe(bytes.NewReader(v.image))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, v.want) {
				t.Errorf("got %+v, want %+v", got, v.want)
			}
		})
	}
}

// Each magic is needed: with one byte of it changed the device is unknown.
func TestProbeNeedsTheMagic(t *testing.T) {
	places := map[string][]int{
		"btrfs": {65536 + 64, 65536 + 71, 65536 + 50}, "erofs": {1024, 1027, 1036}, "ext2": {1080, 1081, 1048 + 3},
		"ext4": {1080}, "f2fs": {1024, 1027, 1028}, "fat12": {0, 510, 511, 54, 12, 13, 14, 16}, "fat16": {58}, "fat32": {82, 511},
		"luks1": {0, 5, 7}, "luks2": {0, 6}, "lvm": {512, 519, 520, 536, 543}, "squashfs": {0, 3, 28},
		"swap": {4086, 4095}, "swap64k": {65526}, "verity": {0, 7, 8}, "xfs": {0, 3, 4},
	}
	all := vectors(t)
	for name, offsets := range places {
		for _, offset := range offsets {
			image := bytes.Clone(all[name].image)
			image[offset] ^= 0x41
			if offset == 14 || offset == 16 {
				image[offset] = 0
			}
			got, err := Probe(bytes.NewReader(image))
			if err != nil || got.Kind != Unknown {
				t.Errorf("%s with byte %d changed is %q, %v", name, offset, got.Kind, err)
			}
		}
	}
}

func TestProbeUnknown(t *testing.T) {
	for name, image := range map[string][]byte{
		"empty":       {},
		"one byte":    {1},
		"zeros":       make([]byte, 1<<20),
		"ones":        bytes.Repeat([]byte{0xff}, 1<<17),
		"boot sector": append(make([]byte, 510), 0x55, 0xaa),
	} {
		got, err := Probe(bytes.NewReader(image))
		if err != nil || !reflect.DeepEqual(got, Info{Clean: true}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestProbeShortDevice(t *testing.T) {
	for name, v := range vectors(t) {
		for _, size := range []int{0, 1, 100, 1023, 1100, 2048, 4096, 5000, 65536, 65600} {
			if _, err := Probe(bytes.NewReader(v.image[:min(size, len(v.image))])); err != nil {
				t.Errorf("%s cut at %d: %v", name, size, err)
			}
		}
	}
	// A file system in a file of just its own size.
	if got, _ := Probe(bytes.NewReader(vectors(t)["erofs"].image[:4096])); got.Kind != EROFS {
		t.Errorf("an erofs of 4096 bytes is %q", got.Kind)
	}
}

func TestProbeClean(t *testing.T) {
	all := vectors(t)
	for name, test := range map[string]struct {
		vector string
		offset int
		value  byte
		want   bool
	}{
		"ext4 with an error":                {"ext4", 1024 + 58, 3, false},
		"ext2 not unmounted":                {"ext2", 1024 + 58, 0, false},
		"ext4 orphans, otherwise unmounted": {"ext4", 1024 + 58, 5, true},
		"xfs in need of repair":             {"xfs", 219, 0x10 | 0x3, false},
		"xfs with other features":           {"xfs", 219, 0xf, true},
		"xfs half made":                     {"xfs", 126, 1, false},
		"fat32 dirty":                       {"fat32", 65, 1, false},
		"fat16 dirty":                       {"fat16", 37, 1, false},
		"fat16 dirty byte of fat32":         {"fat16", 65, 1, true},
	} {
		image := bytes.Clone(all[test.vector].image)
		image[test.offset] = test.value
		got, err := Probe(bytes.NewReader(image))
		if err != nil || got.Kind != all[test.vector].want.Kind || got.Clean != test.want {
			t.Errorf("%s: %+v, %v; want clean %v", name, got, err, test.want)
		}
	}
}

// A journal to be replayed is the normal state after a power cut; ext3 stays ext3 with it.
func TestExtJournalReplayIsClean(t *testing.T) {
	for name, v := range vectors(t) {
		if name != "ext3" && name != "ext4" {
			continue
		}
		v.image[1024+96] |= 4
		got, err := Probe(bytes.NewReader(v.image))
		if err != nil || got.Kind != Kind(name) || !got.Clean {
			t.Errorf("%s with a journal to replay: %+v, %v", name, got, err)
		}
	}
}

func TestExtKinds(t *testing.T) {
	base := vectors(t)["ext2"].image
	for name, test := range map[string]struct {
		compat, incompat, roCompat byte
		want                       Kind
	}{
		"nothing":            {0, 0, 0, Ext2},
		"file types":         {0, 2, 3, Ext2},
		"journal":            {4, 2, 3, Ext3},
		"journal, extents":   {4, 0x42, 3, Ext4},
		"extents":            {0, 0x42, 3, Ext4},
		"huge files":         {4, 2, 0xb, Ext4},
		"replay, no journal": {0, 4, 0, Ext4},
		"journal device":     {0, 8, 0, Unknown},
	} {
		image := bytes.Clone(base)
		image[1024+92], image[1024+96], image[1024+100] = test.compat, test.incompat, test.roCompat
		clear(image[1024+93 : 1024+96])
		clear(image[1024+97 : 1024+100])
		if got, err := Probe(bytes.NewReader(image)); err != nil || got.Kind != test.want {
			t.Errorf("%s: %q, %v; want %q", name, got.Kind, err, test.want)
		}
	}
}

func TestAmbiguousIsUnknown(t *testing.T) {
	all := vectors(t)
	image := bytes.Clone(all["btrfs"].image)
	copy(image[1024:2048], all["ext4"].image[1024:2048])
	got, err := Probe(bytes.NewReader(image))
	want := Info{Clean: true, Ambiguous: []Kind{Ext4, Btrfs}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// What looks like a file system inside of a container must not be mounted past it.
func TestContainerHidesItsContent(t *testing.T) {
	all := vectors(t)
	fileSystem := all["ext4"].image
	for _, name := range []string{"luks1", "luks2", "lvm", "verity"} {
		image := bytes.Clone(all[name].image)
		copy(image[1024:2048], fileSystem[1024:2048])
		got, err := Probe(bytes.NewReader(image))
		if err != nil || got.Kind != all[name].want.Kind {
			t.Errorf("%s with an ext4 superblock: %+v, %v", name, got, err)
		}
	}
}

func TestFATLabelAndSerial(t *testing.T) {
	image := bytes.Clone(vectors(t)["fat16"].image)
	copy(image[43:], "NO NAME    ")
	if got, _ := Probe(bytes.NewReader(image)); got.Label != "" {
		t.Errorf("label %q, want none", got.Label)
	}
	copy(image[39:], []byte{0x02, 0, 0x0c, 0xab})
	if got, _ := Probe(bytes.NewReader(image)); got.UUID != "AB0C-0002" {
		t.Errorf("UUID %q", got.UUID)
	}
	clear(image[39:43])
	if got, _ := Probe(bytes.NewReader(image)); got.UUID != "" {
		t.Errorf("UUID %q of serial 0", got.UUID)
	}
	image[38] = 0x28
	copy(image[43:], "OLD LABEL  ")
	if got, _ := Probe(bytes.NewReader(image)); got.Label != "" || got.Kind != VFAT {
		t.Errorf("%+v without the extended signature", got)
	}
}

func TestLVMUUIDPlace(t *testing.T) {
	v := vectors(t)["lvm"]
	for _, place := range []struct {
		at   byte
		high byte
		want bool
	}{{32, 0, true}, {31, 0, false}, {0, 0, false}, {480 - 256, 1, true}, {481 - 256, 1, false}, {0, 2, false}} {
		image := bytes.Clone(v.image)
		at := int(place.at) | int(place.high)<<8
		id := bytes.Clone(image[512+32 : 512+64])
		image[512+20], image[512+21] = place.at, place.high
		if at+32 <= 512 && at >= 32 {
			copy(image[512+at:], id)
		}
		got, err := Probe(bytes.NewReader(image))
		if err != nil || got.Kind != LVM || (got.UUID == v.want.UUID) != place.want || !place.want && got.UUID != "" {
			t.Errorf("UUID at %d: %+v, %v", at, got, err)
		}
	}
	v.image[512+40] = '/'
	if got, _ := Probe(bytes.NewReader(v.image)); got.Kind != LVM || got.UUID != "" {
		t.Errorf("UUID with a slash: %+v", got)
	}
}

func TestTextFields(t *testing.T) {
	if got := uuidText(make([]byte, 16)); got != "" {
		t.Errorf("UUID of zeros is %q", got)
	}
	for text, want := range map[string]string{
		"": "", "a-Z09": "a-Z09", "a\x00/": "a", "a/b": "", "a b": "", "a@": "", "a[": "", "a`": "", "a{": "", "a:": "", "\xff": "",
	} {
		if got := wordText([]byte(text)); got != want {
			t.Errorf("wordText(%q) = %q, want %q", text, got, want)
		}
	}
	if got := wideText([]byte("a\x00\xe4\x00b")); got != "a\u00e4" {
		t.Errorf("wideText = %q", got)
	}
	if got := plainText([]byte("a b \t\x00c")); got != "a b" {
		t.Errorf("plainText = %q", got)
	}
}

// The fields beyond those of version 5 are something else in older ones.
func TestXFSVersion4(t *testing.T) {
	image := vectors(t)["xfs"].image
	image[101] = image[101]&^15 | 4
	image[219] = 0x10
	if got, err := Probe(bytes.NewReader(image)); err != nil || got.Kind != XFS || !got.Clean {
		t.Errorf("%+v, %v", got, err)
	}
}

// The largest and smallest block sizes that are allowed.
func TestBlockSizeLimits(t *testing.T) {
	all := vectors(t)
	for _, test := range []struct {
		vector string
		offset int
		value  []byte
		want   bool
	}{
		{"ext4", 1024 + 24, []byte{6}, true},
		{"ext4", 1024 + 24, []byte{7}, false},
		{"xfs", 4, []byte{0, 0, 2, 0}, true},
		{"xfs", 4, []byte{0, 0, 1, 0}, false},
		{"xfs", 4, []byte{0, 1, 0, 0}, true},
		{"xfs", 4, []byte{0, 2, 0, 0}, false},
		{"xfs", 4, []byte{0, 0, 3, 0}, false},
		{"erofs", 1036, []byte{9}, true},
		{"erofs", 1036, []byte{8}, false},
		{"erofs", 1036, []byte{16}, true},
		{"erofs", 1036, []byte{17}, false},
		{"fat16", 11, []byte{0, 16}, true},
		{"fat16", 11, []byte{0, 32}, false},
		{"fat16", 11, []byte{0, 1}, false},
		{"fat16", 11, []byte{0, 3}, false},
		{"fat16", 13, []byte{3}, false},
		{"fat16", 13, []byte{128}, true},
	} {
		image := bytes.Clone(all[test.vector].image)
		copy(image[test.offset:], test.value)
		got, err := Probe(bytes.NewReader(image))
		if err != nil || (got.Kind == all[test.vector].want.Kind) != test.want {
			t.Errorf("%s with % x at %d: %+v, %v", test.vector, test.value, test.offset, got, err)
		}
	}
}

func TestHibernationImageIsNotSwap(t *testing.T) {
	image := bytes.Clone(vectors(t)["swap"].image)
	copy(image[4086:], "S1SUSPEND\x00")
	got, err := Probe(bytes.NewReader(image))
	if err != nil || got.Kind != Hibernate || got.Label != "swaplabel" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, page := range []int{8192, 16384, 32768} {
		image := make([]byte, 1<<17)
		copy(image[page-10:], "SWAPSPACE2")
		if got, err := Probe(bytes.NewReader(image)); err != nil || got.Kind != Swap {
			t.Errorf("swap with pages of %d: %+v, %v", page, got, err)
		}
	}
}

type failingFrom struct {
	io.ReaderAt
	from int64
}

var errMedium = errors.New("medium error")

func (f failingFrom) ReadAt(b []byte, offset int64) (int, error) {
	if offset+int64(len(b)) > f.from {
		return 0, errMedium
	}
	return f.ReaderAt.ReadAt(b, offset)
}

func TestReadErrorsAreKept(t *testing.T) {
	image := bytes.NewReader(make([]byte, 1<<20))
	for _, from := range []int64{0, 8192, 20000, 61440} {
		if _, err := Probe(failingFrom{image, from}); !errors.Is(err, errMedium) {
			t.Errorf("unreadable from byte %d: error is %v", from, err)
		}
	}
	if _, err := Probe(failingFrom{image, 1 << 20}); err != nil {
		t.Error(err)
	}
}

func TestKindIsFileSystem(t *testing.T) {
	for kind, want := range map[Kind]bool{
		Ext4: true, EROFS: true, Squashfs: true, Btrfs: true, VFAT: true, XFS: true,
		Swap: false, LUKS: false, RAID: false, LVM: false, Verity: false, Hibernate: false, Unknown: false, "ntfs": false,
	} {
		if got := kind.IsFileSystem(); got != want {
			t.Errorf("%q: %v, want %v", kind, got, want)
		}
	}
}

func FuzzProbe(f *testing.F) {
	for _, v := range vectors(f) {
		image := make([]byte, 128<<10)
		copy(image, v.image)
		f.Add(image[:8192], image[61440:69632])
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, head, far []byte) {
		image := make([]byte, 70<<10)
		copy(image[:61440], head)
		copy(image[61440:], far)
		for _, r := range []io.ReaderAt{
			bytes.NewReader(image), bytes.NewReader(head), io.NewSectionReader(bytes.NewReader(image), 0, 1<<40),
		} {
			info, err := Probe(r)
			if err != nil {
				t.Errorf("error without a read error: %v", err)
			}
			if info.Kind == Unknown && (info.UUID != "" || info.Label != "") {
				t.Errorf("nothing known, and yet %+v", info)
			}
			if strings.ContainsAny(info.UUID, "/\x00 \n") || strings.Contains(info.Label, "\x00") || len(info.UUID) > 48 {
				t.Errorf("bad text in %+v", info)
			}
		}
	})
}
