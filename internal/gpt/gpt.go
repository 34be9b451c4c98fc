// Package gpt reads GUID partition tables (UEFI specification, chapter 5) from disks and
// image files.
//
// Bytes on disk are hostile: checksums, places and sizes are checked, nothing is
// allocated from an unchecked size, and partitions outside the disk are left
// out. The package does not write or repair tables, does not read MBR
// partitions, and does not ask whether partitions overlap.
package gpt

import "errors"

// ErrNoTable says that there is no GPT: neither of the two headers has the signature, or
// sector 0 is not a protective MBR. The kernel and blkid do not accept a GPT without one
// either, so that a file system over the remains of a table is a file system.
var ErrNoTable = errors.New("no GPT partition table")

// Attribute bits of the discoverable partitions specification, in Entry.Attributes.
const (
	AttributeGrowFS   uint64 = 1 << 59 // grow the file system to the partition
	AttributeReadOnly uint64 = 1 << 60 // mount read-only
	AttributeNoAuto   uint64 = 1 << 63 // do not find or mount this by itself
)

// Entry is one used entry of the table.
type Entry struct {
	Number   int  // 1-based, as in the kernel's device names: sda3 is 3
	Type, ID GUID // ID is the PARTUUID
	// FirstLBA and LastLBA are in sectors of Table.SectorSize; the last one belongs to the
	// partition.
	FirstLBA, LastLBA uint64
	Attributes        uint64
	// Name is the label, at most 36 UTF-16 units. It can hold anything, control
	// characters too: quote it before it goes to a terminal.
	Name string
}

// Table is a partition table whose checksums were right.
type Table struct {
	Disk       GUID
	SectorSize int
	// Entries holds the used entries that lie inside the disk, in the order of their numbers.
	Entries []Entry
	// FromBackup says that the primary table was bad and the one at the end was used.
	FromBackup bool
}

// Offset returns where the partition starts, in bytes. The entry must be one of t.Entries.
func (t *Table) Offset(e Entry) int64 { return int64(e.FirstLBA) * int64(t.SectorSize) }

// Size returns the size of the partition in bytes. The entry must be one of t.Entries.
func (t *Table) Size(e Entry) int64 {
	return int64(e.LastLBA-e.FirstLBA+1) * int64(t.SectorSize)
}
