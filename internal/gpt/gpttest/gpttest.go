// Package gpttest builds disk images with a GUID partition table for tests. It is not
// linked into any program.
package gpttest

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"

	"github.com/preroot/preroot/internal/gpt"
)

// EntriesCount and EntrySize are those of every table made here.
const (
	EntriesCount = 128
	EntrySize    = 128
)

// Partition is one partition to be made. Entry number is place in the list.
type Partition struct {
	Type, ID   gpt.GUID
	Name       string
	Attributes uint64
	Data       []byte // padded with zeros to whole 4 KiB; at least 4 KiB are made
}

// Disk describes an image. A zero SectorSize stands for 512.
type Disk struct {
	SectorSize int
	ID         gpt.GUID
	Partitions []Partition
}

const alignment = 4096

// Bytes lays the disk out: protective MBR, primary table, partitions one after
// the other, backup table.
func (d Disk) Bytes() []byte {
	sector := d.sectorSize()
	arraySectors := roundUp(EntriesCount*EntrySize, sector) / sector

	array := make([]byte, arraySectors*sector)
	next := roundUp((2+arraySectors)*sector, alignment)
	firstUsable := next / sector
	var content [][]byte
	for i, p := range d.Partitions {
		size := max(roundUp(len(p.Data), alignment), alignment)
		entry := array[i*EntrySize:]
		putGUID(entry[0:], p.Type)
		putGUID(entry[16:], p.ID)
		binary.LittleEndian.PutUint64(entry[32:], uint64(next/sector))
		binary.LittleEndian.PutUint64(entry[40:], uint64((next+size)/sector-1))
		binary.LittleEndian.PutUint64(entry[48:], p.Attributes)
		for j, unit := range utf16.Encode([]rune(p.Name)) {
			binary.LittleEndian.PutUint16(entry[56+2*j:], unit)
		}
		content = append(content, p.Data)
		next += size
	}
	lastUsable := max(next/sector-1, firstUsable)
	last := lastUsable + arraySectors + 1

	image := make([]byte, (last+1)*sector)
	mbr := image[446:]
	mbr[4] = 0xee
	binary.LittleEndian.PutUint32(mbr[8:], 1)
	binary.LittleEndian.PutUint32(mbr[12:], uint32(last))
	image[510], image[511] = 0x55, 0xaa

	for _, place := range []struct{ own, other, entries int }{
		{1, last, 2},
		{last, 1, lastUsable + 1},
	} {
		copy(image[place.entries*sector:], array)
		h := image[place.own*sector:]
		copy(h, "EFI PART")
		binary.LittleEndian.PutUint32(h[8:], 0x00010000)
		binary.LittleEndian.PutUint32(h[12:], 92)
		binary.LittleEndian.PutUint64(h[24:], uint64(place.own))
		binary.LittleEndian.PutUint64(h[32:], uint64(place.other))
		binary.LittleEndian.PutUint64(h[40:], uint64(firstUsable))
		binary.LittleEndian.PutUint64(h[48:], uint64(lastUsable))
		putGUID(h[56:], d.ID)
		binary.LittleEndian.PutUint64(h[72:], uint64(place.entries))
		binary.LittleEndian.PutUint32(h[80:], EntriesCount)
		binary.LittleEndian.PutUint32(h[84:], EntrySize)
	}
	start := firstUsable * sector
	for i, data := range content {
		copy(image[start:], data)
		start += max(roundUp(len(d.Partitions[i].Data), alignment), alignment)
	}
	Seal(image, sector, 1)
	Seal(image, sector, last)
	return image
}

// Backup returns the sector of the backup header of an image.
func Backup(image []byte, sectorSize int) int { return len(image)/sectorSize - 1 }

// Seal computes the checksums of the header in the given sector anew, so that a test
// can change a field and get past them. Fields that point outside the image
// are left as they are, with the checksum of the header alone right.
func Seal(image []byte, sectorSize, sector int) {
	h := image[sector*sectorSize:]
	start := binary.LittleEndian.Uint64(h[72:]) * uint64(sectorSize)
	size := uint64(binary.LittleEndian.Uint32(h[80:])) * uint64(binary.LittleEndian.Uint32(h[84:]))
	if start <= uint64(len(image)) && size <= uint64(len(image))-start {
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(image[start:start+size]))
	}
	headerSize := min(binary.LittleEndian.Uint32(h[12:]), uint32(sectorSize))
	clear(h[16:20])
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:headerSize]))
}

func (d Disk) sectorSize() int {
	if d.SectorSize == 0 {
		return 512
	}
	return d.SectorSize
}

func putGUID(b []byte, g gpt.GUID) {
	copy(b, []byte{
		g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6],
		g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15],
	})
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
