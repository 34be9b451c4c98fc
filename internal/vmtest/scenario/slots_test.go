//go:build vm

package scenario

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/vmtest"
)

// slotLoader stands in for Flatcar's GRUB: it chooses between USR-A and USR-B by the bits in their partition entries, and counts the tries.
type slotLoader struct{ disk string }

// slot is what the loader knows of one. In an entry's attributes, priority is at bit 48, tries at bit 52, successful at bit 56
// (Flatcar's and ChromeOS's disk format).
type slot struct {
	name            string
	priority, tries uint64
	successful      bool
}

func (s slot) attributes() uint64 {
	bits := s.priority<<48 | s.tries<<52
	if s.successful {
		bits |= 1 << 56
	}
	return bits
}

// slots reads both.
func (l slotLoader) slots(t *testing.T) (slots []slot) {
	t.Helper()
	for _, entry := range readTable(t, l.disk).Entries {
		if strings.HasPrefix(entry.Name, "USR-") {
			bits := entry.Attributes
			slots = append(slots, slot{entry.Name, bits >> 48 & 15, bits >> 52 & 15, bits>>56&1 == 1})
		}
	}
	return slots
}

// choose takes the slot of the highest priority that is marked good or has a try left, and takes the try.
func (l slotLoader) choose(t *testing.T) slot {
	t.Helper()
	slots := slices.DeleteFunc(l.slots(t), func(s slot) bool { return s.priority == 0 || !s.successful && s.tries == 0 })
	if len(slots) == 0 {
		t.Fatal("the boot loader has nothing to boot")
	}
	chosen := slices.MaxFunc(slots, func(a, b slot) int { return int(a.priority) - int(b.priority) })
	if !chosen.successful {
		chosen.tries--
		l.write(t, chosen)
	}
	return chosen
}

// write puts a slot into both partition tables.
func (l slotLoader) write(t *testing.T, s slot) {
	t.Helper()
	file, err := os.OpenFile(l.disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const sector = 512
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{sector, info.Size() - sector} {
		header := make([]byte, sector)
		readAt(t, file, header, at)
		start := int64(binary.LittleEndian.Uint64(header[72:])) * sector
		size := binary.LittleEndian.Uint32(header[84:])
		array := make([]byte, binary.LittleEndian.Uint32(header[80:])*size)
		readAt(t, file, array, start)
		done := false
		for entry := array; len(entry) > 0; entry = entry[size:] {
			var name strings.Builder
			for unit := entry[56:size]; len(unit) > 1 && unit[0] != 0; unit = unit[2:] {
				name.WriteByte(unit[0])
			}
			if name.String() == s.name {
				binary.LittleEndian.PutUint64(entry[48:], s.attributes())
				done = true
			}
		}
		if !done {
			t.Fatalf("the partition table at byte %d has no %s", at, s.name)
		}
		binary.LittleEndian.PutUint32(header[88:], crc32.ChecksumIEEE(array))
		clear(header[16:20])
		binary.LittleEndian.PutUint32(header[16:], crc32.ChecksumIEEE(header[:binary.LittleEndian.Uint32(header[12:])]))
		for place, b := range map[int64][]byte{start: array, at: header} {
			if _, err := file.WriteAt(b, place); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func readAt(t *testing.T, from io.ReaderAt, b []byte, at int64) {
	t.Helper()
	if _, err := from.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func readTable(t *testing.T, disk string) *gpt.Table {
	t.Helper()
	file, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gpt.Read(file, info.Size(), 512)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestBadSlotIsLeft: the loader tries a new /usr that is damaged. The boot ends in a restart and marks nothing, so the loader takes the other slot.
func TestBadSlotIsLeft(t *testing.T) {
	t.Parallel()
	f := prepareFlatcar(t, vmtest.Forky)
	loader := slotLoader{f.disk}
	partitions := map[string]gpt.Entry{}
	table := readTable(t, f.disk)
	for _, entry := range table.Entries {
		partitions[entry.Name] = entry
	}
	copyWithin(t, f.disk, table.Offset(partitions["USR-B"]), table.Offset(partitions["USR-A"]), table.Size(partitions["USR-A"]))
	if err := vmtest.FlipBit(f.disk, f.offset(t, "USR_OFFSET")+1030, 3); err != nil {
		t.Fatal(err)
	}
	// An update was just written to A; B is what the machine ran until then.
	loader.write(t, slot{name: "USR-A", priority: 2, tries: 1})
	loader.write(t, slot{name: "USR-B", priority: 1, successful: true})

	var booted []string
	for len(booted) < 4 {
		chosen := loader.choose(t)
		booted = append(booted, chosen.name)
		start := f.start(stopAtInit)
		start.CommandLine = strings.ReplaceAll(f.values["CMDLINE"], partitions["USR-A"].ID.String(), partitions[chosen.name].ID.String())
		run, err := f.Boot(t.Context(), start)
		if err != nil {
			t.Fatal(err)
		}
		logRun(t, run)
		if mark, found := run.Find("testbed: mark init "); found {
			if !strings.Contains(mark.Text, " confext=present ") {
				t.Errorf("the real root's init saw %q", mark.Text)
			}
			break
		}
		judge(t, run, CheckRefusal(run, regexp.MustCompile(`data block 0 does not match the hash tree`), refusalLimit))
	}
	if want := []string{"USR-A", "USR-B"}; !slices.Equal(booted, want) {
		t.Errorf("booted %q, want %q", booted, want)
	}
	if got, want := fmt.Sprint(loader.slots(t)), "[{USR-A 2 0 false} {USR-B 1 0 true}]"; got != want {
		t.Errorf("the loader's bits are %s, want %s", got, want)
	}
}

// copyWithin copies a part of an image to another place in it, and leaves holes where there is nothing.
func copyWithin(t *testing.T, disk string, to, from, size int64) {
	t.Helper()
	file, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	copyBlocks(t, file, to, file, from, size)
}

func copyBlocks(t *testing.T, target io.WriterAt, to int64, source io.ReaderAt, from, size int64) {
	t.Helper()
	block, empty := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(block)) {
		part := block[:min(int64(len(block)), size-at)]
		readAt(t, source, part, from+at)
		if slices.Equal(part, empty[:len(part)]) {
			continue
		}
		if _, err := target.WriteAt(part, to+at); err != nil {
			t.Fatal(err)
		}
	}
}
