//go:build vm

package scenario

import (
	"encoding/binary"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// refusalLimit is how long a boot that must fail may take from the start of
// /init, on the host's clock. The cases that wait for a device wait 5 s for it;
// an emulated guest beside another one needs the rest.
const refusalLimit = 60 * time.Second

// Offsets in a verity superblock (kernel documentation
// admin-guide/device-mapper/verity.rst and cryptsetup's on-disk format). The
// tree's top block follows in the next hash block.
const (
	offsetVersion       = 8
	offsetHashType      = 12
	offsetDataBlockSize = 64
	offsetHashBlockSize = 68
	offsetDataBlocks    = 72
	offsetSaltSize      = 80
	hashBlockSize       = 4096
)

// refusal is one boot that must not succeed.
type refusal struct {
	name string

	// suite is the kernel, forky's when empty.
	suite string

	// disk is the file in the testbed, disk.raw when empty; its command line
	// stands in the .env beside it.
	disk string

	// change makes damage on a private copy of the disk.
	change func(t *testing.T, b *vmtest.Testbed, disk string)

	// cmdline changes the command line.
	cmdline func(t *testing.T, line string) string

	// waits sets a short limit for the wait for devices.
	waits bool

	// cause is what the message must name.
	cause string
}

var refusals = []refusal{
	{name: "first digit of usrhash wrong", waits: true, cmdline: changeHash(0),
		cause: `no partition PARTUUID=.*data of /usr.*usrhash=`},
	{name: "last digit of usrhash wrong", waits: true, cmdline: changeHash(63),
		cause: `no partition PARTUUID=.*hash tree of /usr.*usrhash=`},
	{name: "usrhash too short", cmdline: replaceHash(func(hash string) string { return hash[:62] }),
		cause: `usrhash= is too short: 62 hex digits`},
	{name: "usrhash not hex", cmdline: replaceHash(func(hash string) string { return "g" + hash[1:] }),
		cause: `usrhash=.* is not hex`},
	{name: "flipped bit in the top hash block", change: flipBit("USR_VERITY_OFFSET", hashBlockSize+17),
		cause: `top hash block does not match the root hash`},
	{name: "flipped bit in the top hash block on 6.12", suite: vmtest.Trixie, change: flipBit("USR_VERITY_OFFSET", hashBlockSize+17),
		cause: `top hash block does not match the root hash`},
	{name: "flipped bit in the first data block", change: flipBit("USR_OFFSET", 1030),
		cause: `data block 0 does not match the hash tree`},
	{name: "no usr partition of that hash", waits: true, cmdline: replaceHash(func(string) string { return strings.Repeat("0123456789abcdef", 4) }),
		cause: `no partition PARTUUID=01234567-89ab-cdef-0123-456789abcdef.*data of /usr`},
	{name: "no root partition of that UUID", waits: true, cmdline: replaceRoot,
		cause: `no partition PARTUUID=00000000-1111-2222-3333-444444444444.*root`},
	{name: "superblock with 2^63 data blocks", change: setField64(offsetDataBlocks, 1<<63),
		cause: `superblock: 9223372036854775808 data blocks, at most`},
	{name: "superblock with data blocks of 3 bytes", change: setField32(offsetDataBlockSize, 3),
		cause: `superblock: data block size 3 `},
	{name: "superblock with hash blocks of 3 bytes", change: setField32(offsetHashBlockSize, 3),
		cause: `superblock: hash block size 3 `},
	{name: "superblock with a salt of 65535 bytes", change: setField16(offsetSaltSize, 65535),
		cause: `superblock: salt of 65535 bytes, at most`},
	{name: "superblock of hash type 9", change: setField32(offsetHashType, 9),
		cause: `superblock: hash type 9`},
	{name: "superblock of version 7", change: setField32(offsetVersion, 7),
		cause: `superblock: version 7`},
	{name: "a root that must be checked", change: markDirty,
		cause: `root /dev/vda4: its ext4 must be checked`},
	{name: "a LUKS root", change: fillRoot("crypto_LUKS", luks()), cause: `root /dev/vda4: it holds crypto_LUKS`},
	{name: "a root on RAID", change: fillRoot("linux_raid_member", raidMember()), cause: `root /dev/vda4: it holds linux_raid_member`},
	{name: "a root in LVM", change: fillRoot("LVM2_member", physicalVolume()), cause: `root /dev/vda4: it holds LVM2_member`},
	{name: "a hibernation image", change: fallAsleep,
		cause: `/dev/vda3 holds a hibernation image`},
	{name: "an unknown word for the initrd", cmdline: func(_ *testing.T, line string) string { return line + " rd.unheard-of=1" },
		cause: `the kernel command line has rd.unheard-of`},
	{name: "default confext without its release file", disk: "no-release.raw",
		cause: `00-default.*extension-release\.00-default`},
}

// TestRefusals boots what must not boot.
func TestRefusals(t *testing.T) {
	machines := map[string]*Machine{}
	for _, suite := range []string{vmtest.Forky, vmtest.Trixie} {
		machines[suite] = prepare(t, suite)
	}
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if r.suite == "" {
				r.suite = vmtest.Forky
			}
			m := machines[r.suite]
			start := r.start(t, m.Testbed)
			start.Timeout = 150 * time.Second
			run, err := m.Boot(t.Context(), start)
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			judge(t, run, CheckRefusal(run, regexp.MustCompile(r.cause), refusalLimit))
		})
	}
}

func (r refusal) start(t *testing.T, b *vmtest.Testbed) Start {
	t.Helper()
	name := r.disk
	if name == "" {
		name = "disk.raw"
	}
	disk, err := b.File(name, "scripts/guest")
	if err != nil {
		t.Fatal(err)
	}
	values, err := b.DiskValues(name)
	if err != nil {
		t.Fatal(err)
	}
	line := values["CMDLINE"]
	if r.cmdline != nil {
		line = r.cmdline(t, line)
	}
	if r.change != nil {
		changed := filepath.Join(t.TempDir(), "disk.raw")
		if err := vmtest.CopyDisk(changed, disk); err != nil {
			t.Fatal(err)
		}
		r.change(t, b, changed)
		disk = changed
	}
	words := ""
	if r.waits {
		words = "rd.timeout=5"
	}
	return Start{Disk: disk, CommandLine: line, Append: words}
}

// replaceHash changes the value of usrhash=.
func replaceHash(change func(hash string) string) func(*testing.T, string) string {
	return func(t *testing.T, line string) string {
		t.Helper()
		before, after, found := strings.Cut(line, "usrhash=")
		if !found || len(after) < 64 {
			t.Fatalf("no usrhash= in %q", line)
		}
		return before + "usrhash=" + change(after[:64]) + after[64:]
	}
}

// changeHash makes another hex digit of the one at a place of usrhash=.
func changeHash(place int) func(*testing.T, string) string {
	return replaceHash(func(hash string) string {
		digits := []byte(hash)
		if digits[place]++; digits[place] == '9'+1 || digits[place] == 'f'+1 {
			digits[place] = '0'
		}
		return string(digits)
	})
}

func replaceRoot(t *testing.T, line string) string {
	t.Helper()
	const word = "root=PARTUUID="
	before, after, found := strings.Cut(line, word)
	if !found || len(after) < 36 {
		t.Fatalf("no %s in %q", word, line)
	}
	return before + word + "00000000-1111-2222-3333-444444444444" + after[36:]
}

// offsetOf is where a partition of the testbed's disk starts, in bytes.
func offsetOf(t *testing.T, b *vmtest.Testbed, name string) int64 {
	t.Helper()
	at, err := b.Offset(name)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// flipBit turns over a bit of the byte that lies so far into a partition.
func flipBit(partition string, offset int64) func(*testing.T, *vmtest.Testbed, string) {
	return func(t *testing.T, b *vmtest.Testbed, disk string) {
		t.Helper()
		start := offsetOf(t, b, partition)
		if err := vmtest.FlipBit(disk, start+offset, 3); err != nil {
			t.Fatal(err)
		}
	}
}

// setField writes into the verity superblock of /usr.
func setField(offset int64, value []byte) func(*testing.T, *vmtest.Testbed, string) {
	return func(t *testing.T, b *vmtest.Testbed, disk string) {
		t.Helper()
		start := offsetOf(t, b, "USR_VERITY_OFFSET")
		if err := vmtest.PatchDisk(disk, start+offset, value); err != nil {
			t.Fatal(err)
		}
	}
}

func setField16(offset int64, value uint16) func(*testing.T, *vmtest.Testbed, string) {
	return setField(offset, binary.LittleEndian.AppendUint16(nil, value))
}

func setField32(offset int64, value uint32) func(*testing.T, *vmtest.Testbed, string) {
	return setField(offset, binary.LittleEndian.AppendUint32(nil, value))
}

func setField64(offset int64, value uint64) func(*testing.T, *vmtest.Testbed, string) {
	return setField(offset, binary.LittleEndian.AppendUint64(nil, value))
}
