// Package observe looks: at disks and their partition tables, at the start of a
// hash tree, at file systems, at extensions. It opens for reading only and
// changes nothing; what follows from what it sees is for package plan.
package observe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/superblock"
)

// Partition is a block device with what the partition table of its disk says
// about it. For a device without an entry in a GPT, Entry.Number is 0.
type Partition struct {
	blockdev.Device
	Entry gpt.Entry
	// TableID is the GUID of the disk, zero without a table.
	TableID gpt.GUID
	// IsRoot says that the partition table has it for the root of this architecture, to be found without a name
	// (UAPI group, discoverable partitions specification).
	IsRoot bool
	// Content is what it holds, if that was to be read (Disks.Contents) and could be.
	Content superblock.Info
}

// Disks remembers the partition tables that were read, so that a look after
// every event costs little. The zero value is ready for use.
type Disks struct {
	// Contents has the superblocks read, too.
	Contents bool

	tables   map[string]table
	contents map[string]content
}

// content is what a look at a device found.
type content struct {
	device  blockdev.Device
	info    superblock.Info
	known   bool
	problem string
}

// table is what one look at a disk found.
type table struct {
	size int64
	gpt  *gpt.Table
	// retry says that the disk could not be opened: its node may follow.
	retry   bool
	problem string
}

// Scan lists all block devices below /sys with their GPT entries. problems tell
// about disks whose table could not be read, each once.
func (d *Disks) Scan(sys string) (partitions []Partition, problems []error) {
	devices, err := blockdev.List(sys)
	if err != nil {
		return nil, []error{err}
	}
	if d.tables == nil {
		d.tables = map[string]table{}
	}
	disks := map[string]blockdev.Device{}
	for _, device := range devices {
		if device.Partition == 0 {
			disks[device.Name] = device
		}
	}
	for _, device := range devices {
		p := Partition{Device: device}
		if disk, ok := disks[device.Disk]; ok && device.Partition != 0 {
			t, err := d.table(disk)
			if err != nil {
				problems = append(problems, err)
			}
			p.Entry = entryOf(t, device)
			if t != nil {
				p.TableID = t.Disk
			}
			p.IsRoot = p.Entry.Number != 0 && p.Entry.Attributes&gpt.AttributeNoAuto == 0 && p.Entry.Name != "_empty" &&
				ddi.IsRoot(p.Entry.Type, osrelease.Architecture(runtime.GOARCH))
		}
		if d.Contents {
			if p.Content, err = d.content(device); err != nil {
				problems = append(problems, err)
			}
		}
		partitions = append(partitions, p)
	}
	return partitions, problems
}

// table reads a disk's partition table, or returns what was read before. A
// disk without GPT has nil. An error is returned once; a disk that could not
// even be opened is tried again at the next look.
func (d *Disks) table(disk blockdev.Device) (*gpt.Table, error) {
	known, ok := d.tables[disk.Name]
	if ok && known.size == disk.Size && !known.retry {
		return known.gpt, nil
	}
	found, opened, err := readTable(disk)
	if errors.Is(err, gpt.ErrNoTable) {
		err = nil
	}
	now := table{size: disk.Size, gpt: found, retry: !opened}
	if err != nil {
		err = fmt.Errorf("read partition table of %s: %w", disk.Node(), err)
		now.problem = err.Error()
	}
	d.tables[disk.Name] = now
	if now.problem == known.problem {
		err = nil
	}
	return found, err
}

// content reads a superblock, or returns what was read before. An error is returned once; a device that could not be
// read is tried again at the next look.
func (d *Disks) content(device blockdev.Device) (superblock.Info, error) {
	last := d.contents[device.Name]
	if last.known && last.device == device {
		return last.info, nil
	}
	now := content{device: device}
	info, err := FileSystem(device.Node())
	if err != nil {
		now.problem = err.Error()
	} else {
		now.info, now.known = info, true
	}
	if d.contents == nil {
		d.contents = map[string]content{}
	}
	d.contents[device.Name] = now
	if now.problem == last.problem {
		err = nil
	}
	return info, err
}

func readTable(disk blockdev.Device) (t *gpt.Table, opened bool, err error) {
	file, err := os.Open(disk.Node())
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	t, err = gpt.Read(file, disk.Size, blockdev.SectorSize(file))
	return t, true, err
}

// entryOf finds the entry by its number, and only if the kernel sees the
// partition at the same place.
func entryOf(t *gpt.Table, device blockdev.Device) gpt.Entry {
	if t == nil {
		return gpt.Entry{}
	}
	for _, entry := range t.Entries {
		if entry.Number == device.Partition && t.Offset(entry) == device.Start {
			return entry
		}
	}
	return gpt.Entry{}
}

// FileSystem tells what a device holds.
func FileSystem(node string) (superblock.Info, error) {
	file, err := os.Open(node)
	if err != nil {
		return superblock.Info{}, err
	}
	defer file.Close()
	// Members of some RAIDs are told from a file system by their end only.
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return superblock.Info{}, err
	}
	info, err := superblock.Probe(io.NewSectionReader(file, 0, size))
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("read superblock of %s: %w", node, err)
	}
	return info, err
}

// IsReadOnly reports whether the file system at a path takes no writes.
func IsReadOnly(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// KernelHasFileSystem reports whether the running kernel knows the type now.
func KernelHasFileSystem(fsType string) bool {
	text, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return false
	}
	return listsFileSystem(string(text), fsType)
}

// Memory returns what /proc/meminfo says of a key, in KiB; 0 if unknown.
func Memory(key string) int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	number, _ := strconv.ParseInt(memoryField(string(text), key), 10, 64)
	return number
}
