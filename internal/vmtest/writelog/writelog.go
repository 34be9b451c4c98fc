// Package writelog reads what QEMU's driver blklogwrites notes of the writes to a disk, in the format of the kernel's dm-log-writes
// (admin-guide/device-mapper/log-writes): what the disk has after a power cut at any of them.
package writelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// magic is at the start of a log; the version of the format follows.
const magic, version = 0x6a736677736872, 1

// Flags of an entry.
const (
	flush   = 1 << 0
	discard = 1 << 2
)

// Entry is something that was done to the disk.
type Entry struct {
	// Offset on the disk and Length in bytes; 0 for a flush.
	Offset, Length int64
	// Data is where the written bytes are in the log; 0 if the entry brings none.
	Data int64
	// Flush says that all entries before it are on the disk.
	Flush bool
}

// limits of what is believed, in bytes and entries.
const (
	maxSector  = 64 << 10
	maxLength  = 1 << 32
	maxEntries = 1 << 20
)

// Read returns the entries of a log of so many bytes. What is behind the last whole entry is left out.
func Read(log io.ReaderAt, size int64) ([]Entry, error) {
	head := make([]byte, 28)
	if _, err := log.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("read log of writes: %w", err)
	}
	if binary.LittleEndian.Uint64(head) != magic || binary.LittleEndian.Uint64(head[8:]) != version {
		return nil, errors.New("read log of writes: it is none")
	}
	sector := int64(binary.LittleEndian.Uint32(head[24:]))
	if sector < 512 || sector > maxSector || sector&(sector-1) != 0 {
		return nil, fmt.Errorf("read log of writes: sectors of %d bytes", sector)
	}
	var entries []Entry
	count := binary.LittleEndian.Uint64(head[16:])
	for at := sector; uint64(len(entries)) < min(count, maxEntries) && at+sector <= size; at += sector {
		raw := make([]byte, 24)
		if _, err := log.ReadAt(raw, at); err != nil {
			return nil, fmt.Errorf("read log of writes: entry at byte %d: %w", at, err)
		}
		start, length, flags := binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[8:]), binary.LittleEndian.Uint64(raw[16:])
		if start > 1<<48 || length > maxLength/uint64(sector) {
			return nil, fmt.Errorf("read log of writes: entry at byte %d: %d sectors at sector %d", at, length, start)
		}
		e := Entry{Offset: int64(start) * sector, Length: int64(length) * sector, Flush: flags&flush != 0}
		if length > 0 && flags&discard == 0 {
			e.Data = at + sector
			at += e.Length
			if at+sector > size {
				break
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Apply does one entry again to the part of a disk that begins at start and is so many bytes long. What was discarded stays as it is.
func (e Entry) Apply(disk io.WriterAt, start, size int64, log io.ReaderAt) error {
	from, to := max(e.Offset, start), min(e.Offset+e.Length, start+size)
	if e.Data == 0 || from >= to {
		return nil
	}
	data := make([]byte, to-from)
	if _, err := log.ReadAt(data, e.Data+from-e.Offset); err != nil {
		return fmt.Errorf("replay write: %w", err)
	}
	if _, err := disk.WriteAt(data, from-start); err != nil {
		return fmt.Errorf("replay write: %w", err)
	}
	return nil
}
