//go:build vm

package scenario

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// arrival is a boot that must reach the real root's init, with both classes merged.
type arrival struct {
	name string

	// suite is the kernel, forky's when empty.
	suite string

	// change works on a private copy of the disk.
	change func(t *testing.T, b *vmtest.Testbed, disk string)

	// root replaces the value of root=; the word goes if it is "-".
	root func(t *testing.T, b *vmtest.Testbed) string

	// append are further words.
	append string

	// says are texts that the console must have.
	says []string
}

var arrivals = []arrival{
	{name: "root by UUID", root: rootTag("UUID=", 104, 16)},
	{name: "root by LABEL", root: rootTag("LABEL=", 120, 16)},
	{name: "root by its partition type", root: func(*testing.T, *vmtest.Testbed) string { return "-" }},
	{name: "root by its partition type on 6.12", suite: vmtest.Trixie, root: func(*testing.T, *vmtest.Testbed) string { return "gpt-auto" }},
	{name: "a read-only root", append: "ro rootflags=ro", says: []string{"nothing merged takes writes"}},
	{name: "a dirty root that need not be checked", change: markDirty, append: "fsck.mode=skip"},
	{name: "a hibernation image that is given up", change: fallAsleep, append: "noresume"},
	{name: "words for other initrds", append: "rd.luks=0 rd.udev.log_level=info rd.shell=0 modprobe.blacklist=ahci"},
}

func TestArrivals(t *testing.T) {
	machines := map[string]*Machine{}
	for _, suite := range []string{vmtest.Forky, vmtest.Trixie} {
		machines[suite] = prepare(t, suite)
	}
	for _, a := range arrivals {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			if a.suite == "" {
				a.suite = vmtest.Forky
			}
			m := machines[a.suite]
			run, err := m.Boot(t.Context(), a.start(t, m.Testbed))
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			mark, found := run.Find("testbed: mark init ")
			if !found || !strings.Contains(mark.Text, " confext=present sysext=present ") {
				t.Fatalf("the real root's init saw %q\n%s", mark.Text, run.Tail(60))
			}
			for _, text := range a.says {
				if _, found := run.Find(text); !found {
					t.Errorf("%q is not on the console:\n%s", text, run.Tail(60))
				}
			}
		})
	}
}

func (a arrival) start(t *testing.T, b *vmtest.Testbed) Start {
	t.Helper()
	line, err := b.Value("CMDLINE")
	if err != nil {
		t.Fatal(err)
	}
	if a.root != nil {
		var words []string
		for _, word := range strings.Fields(line) {
			if !strings.HasPrefix(word, "root=") {
				words = append(words, word)
			}
		}
		if value := a.root(t, b); value != "-" {
			words = append(words, "root="+value)
		}
		line = strings.Join(words, " ")
	}
	s := Start{CommandLine: line, Append: a.append + " init=/usr/lib/testbed/init-stop"}
	if a.change != nil {
		s.Disk = filepath.Join(t.TempDir(), "disk.raw")
		disk, err := b.File("disk.raw", "scripts/guest")
		if err != nil {
			t.Fatal(err)
		}
		if err := vmtest.CopyDisk(s.Disk, disk); err != nil {
			t.Fatal(err)
		}
		a.change(t, b, s.Disk)
	}
	return s
}

// extSuperblock is where it lies in a partition, and how long it is (kernel documentation filesystems/ext4/super).
const extSuperblock, extSuperblockSize = 1024, 1024

func readRootSuperblock(t *testing.T, b *vmtest.Testbed, disk string) (superblock []byte, at int64) {
	t.Helper()
	at = offsetOf(t, b, "ROOT_OFFSET") + extSuperblock
	file, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	superblock = make([]byte, extSuperblockSize)
	if _, err := file.ReadAt(superblock, at); err != nil {
		t.Fatal(err)
	}
	return superblock, at
}

// rootTag names the root by a field of its superblock.
func rootTag(tag string, offset, size int) func(*testing.T, *vmtest.Testbed) string {
	return func(t *testing.T, b *vmtest.Testbed) string {
		t.Helper()
		disk, err := b.File("disk.raw", "scripts/guest")
		if err != nil {
			t.Fatal(err)
		}
		superblock, _ := readRootSuperblock(t, b, disk)
		field := superblock[offset : offset+size]
		text := strings.TrimRight(string(field), "\x00")
		if tag == "UUID=" {
			h := hex.EncodeToString(field)
			text = strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
		}
		if text == "" {
			t.Fatalf("the root has no %s", tag)
		}
		return tag + text
	}
}

// markDirty notes an error in the root's superblock, as the kernel does.
func markDirty(t *testing.T, b *vmtest.Testbed, disk string) {
	t.Helper()
	const offsetState, hasErrors, offsetChecksum = 58, 2, 1020
	superblock, at := readRootSuperblock(t, b, disk)
	superblock[offsetState] |= hasErrors
	binary.LittleEndian.PutUint32(superblock[offsetChecksum:], ^crc32.Checksum(superblock[:offsetChecksum], crc32.MakeTable(crc32.Castagnoli)))
	if err := vmtest.PatchDisk(disk, at, superblock); err != nil {
		t.Fatal(err)
	}
}

// fallAsleep makes the partition of the root hash's signature look like a swap area with an image in it.
func fallAsleep(t *testing.T, b *vmtest.Testbed, disk string) {
	t.Helper()
	at := offsetOf(t, b, "USR_VERITY_SIG_OFFSET")
	if err := vmtest.PatchDisk(disk, at+4096-10, []byte("S1SUSPEND\x00")); err != nil {
		t.Fatal(err)
	}
}
