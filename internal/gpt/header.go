package gpt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Limits on what a header may ask for. Usual are 128 entries of 128 bytes.
const (
	maxEntries       = 1024
	minEntrySize     = 128
	maxEntrySize     = 4096
	minHeaderSize    = 92
	signature        = "EFI PART"
	supportedVersion = 1 // upper half of the revision field
)

// header is the checked content of a GPT header.
type header struct {
	disk         GUID
	entriesLBA   uint64
	entriesCount int
	entrySize    int
	entriesCRC   uint32
}

// parseHeader checks a sector read from LBA at, on a disk whose last sector is lastLBA.
// The sector has the size of a sector. Offsets are those of table 5.5 of the UEFI specification.
func parseHeader(sector []byte, at, lastLBA uint64) (header, error) {
	word := func(offset int) uint32 { return binary.LittleEndian.Uint32(sector[offset:]) }
	long := func(offset int) uint64 { return binary.LittleEndian.Uint64(sector[offset:]) }

	if version := word(8) >> 16; version != supportedVersion {
		return header{}, fmt.Errorf("header has revision %d, known is %d", version, supportedVersion)
	}
	size := word(12)
	if size < minHeaderSize || int64(size) > int64(len(sector)) {
		return header{}, fmt.Errorf("header size is %d, not within %d to %d", size, minHeaderSize, len(sector))
	}
	if want, got := word(16), headerChecksum(sector[:size]); got != want {
		return header{}, fmt.Errorf("header checksum is %08x, not %08x", got, want)
	}
	if own := long(24); own != at {
		return header{}, fmt.Errorf("header says it is sector %d, found in sector %d", own, at)
	}
	// This is what a truncated image or a disk copied to a smaller one looks like.
	first, last := long(40), long(48)
	if last > lastLBA {
		return header{}, fmt.Errorf("last usable sector is %d, the disk ends at %d", last, lastLBA)
	}
	if first > last {
		return header{}, fmt.Errorf("usable sectors end at %d, before they start at %d", last, first)
	}

	entriesCount, entrySize := word(80), word(84)
	if entriesCount < 1 || entriesCount > maxEntries {
		return header{}, fmt.Errorf("table has %d entries, not within 1 to %d", entriesCount, maxEntries)
	}
	if entrySize < minEntrySize || entrySize > maxEntrySize || entrySize&(entrySize-1) != 0 {
		return header{}, fmt.Errorf("table entry has %d bytes, not a power of 2 from %d to %d",
			entrySize, minEntrySize, maxEntrySize)
	}
	h := header{
		disk:         fromDisk(sector[56:72]),
		entriesLBA:   long(72),
		entriesCount: int(entriesCount),
		entrySize:    int(entrySize),
		entriesCRC:   word(88),
	}
	sectors := (uint64(h.arraySize()) + uint64(len(sector)) - 1) / uint64(len(sector))
	if h.entriesLBA < 2 || h.entriesLBA > lastLBA || lastLBA-h.entriesLBA+1 < sectors {
		return header{}, fmt.Errorf("entries at sector %d (%d sectors) are not within 2 to %d",
			h.entriesLBA, sectors, lastLBA)
	}
	return h, nil
}

// arraySize is the size of all entries in bytes, at most 4 MiB.
func (h header) arraySize() int { return h.entriesCount * h.entrySize }

// headerChecksum computes the CRC-32 of a header with the checksum field taken as zero.
func headerChecksum(h []byte) uint32 {
	sum := crc32.ChecksumIEEE(h[:16])
	sum = crc32.Update(sum, crc32.IEEETable, []byte{0, 0, 0, 0})
	return crc32.Update(sum, crc32.IEEETable, h[20:])
}
