package superblock

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Bits of ext2, ext3 and ext4 (Documentation/filesystems/ext4/super.rst). The name of the oldest
// driver that knows all features is the kind, as for blkid.
const (
	extStateUnmounted = 1
	extStateErrors    = 2

	extCompatJournal         = 0x4
	extIncompatJournalDevice = 0x8
	extIncompat64Bit         = 0x80
	// Features that ext2 and ext3 have.
	ext2Incompat = 0x2 | 0x10         // file types in directories, meta block groups
	ext3Incompat = ext2Incompat | 0x4 // journal to be replayed
	ext3ROCompat = 0x1 | 0x2 | 0x4    // sparse superblocks, large files, B-tree directories
)

func probeExt(d *device) (Info, bool) {
	b := d.head[1024:2048]
	if binary.LittleEndian.Uint16(b[56:]) != 0xef53 {
		return Info{}, false
	}
	if binary.LittleEndian.Uint32(b[24:]) > 6 { // log2 of the block size in KiB: at most 64 KiB
		return Info{}, false
	}
	state := binary.LittleEndian.Uint16(b[58:])
	compat := binary.LittleEndian.Uint32(b[92:])
	incompat := binary.LittleEndian.Uint32(b[96:])
	roCompat := binary.LittleEndian.Uint32(b[100:])
	if incompat&extIncompatJournalDevice != 0 {
		return Info{}, false // somebody else's journal, not a file system
	}
	kind := Ext4
	switch {
	case roCompat&^ext3ROCompat != 0:
	case compat&extCompatJournal != 0 && incompat&^ext3Incompat == 0:
		kind = Ext3
	case compat&extCompatJournal == 0 && incompat&^ext2Incompat == 0:
		kind = Ext2
	}
	return Info{
		Kind: kind, UUID: uuidText(b[104:120]), Label: plainText(b[120:136]), Size: extSize(b, incompat),
		Clean: state&extStateUnmounted != 0 && state&extStateErrors == 0,
	}, true
}

// extSize is the number of blocks times their size, in bytes.
func extSize(b []byte, incompat uint32) int64 {
	blocks := uint64(binary.LittleEndian.Uint32(b[4:]))
	if incompat&extIncompat64Bit != 0 {
		blocks |= uint64(binary.LittleEndian.Uint32(b[336:])) << 32
	}
	shift := 10 + binary.LittleEndian.Uint32(b[24:])
	if blocks > math.MaxInt64>>shift {
		return 0
	}
	return int64(blocks << shift)
}

func probeXFS(d *device) (Info, bool) {
	const needsRepair = 1 << 4 // XFS_SB_FEAT_INCOMPAT_NEEDSREPAIR
	b := d.head[:]
	if !hasAt(b, 0, "XFSB") {
		return Info{}, false
	}
	if size := binary.BigEndian.Uint32(b[4:]); size < 512 || size > 65536 || bits.OnesCount32(size) != 1 {
		return Info{}, false
	}
	clean := b[126] == 0 // mkfs has ended
	if version := binary.BigEndian.Uint16(b[100:]) & 15; version >= 5 {
		clean = clean && binary.BigEndian.Uint32(b[216:])&needsRepair == 0
	}
	return Info{Kind: XFS, UUID: uuidText(b[32:48]), Label: plainText(b[108:120]), Clean: clean}, true
}

func probeBtrfs(d *device) (Info, bool) {
	b := d.far[65536-farStart:]
	if !hasAt(b, 64, "_BHRfS_M") || binary.LittleEndian.Uint64(b[48:]) != 65536 { // its own place
		return Info{}, false
	}
	return Info{Kind: Btrfs, UUID: uuidText(b[32:48]), Label: plainText(b[299 : 299+256]), Clean: true}, true
}

func probeEROFS(d *device) (Info, bool) {
	b := d.head[1024:]
	if binary.LittleEndian.Uint32(b) != 0xe0f5e1e2 {
		return Info{}, false
	}
	if log := b[12]; log < 9 || log > 16 { // log2 of the block size
		return Info{}, false
	}
	return Info{Kind: EROFS, UUID: uuidText(b[48:64]), Label: plainText(b[64:80]), Clean: true}, true
}

func probeSquashfs(d *device) (Info, bool) {
	b := d.head[:]
	if !hasAt(b, 0, "hsqs") || binary.LittleEndian.Uint16(b[28:]) != 4 { // the only version that the kernel mounts
		return Info{}, false
	}
	return Info{Kind: Squashfs, Clean: true}, true
}

func probeF2FS(d *device) (Info, bool) {
	b := d.head[1024:]
	if binary.LittleEndian.Uint32(b) != 0xf2f52010 || binary.LittleEndian.Uint16(b[4:]) != 1 {
		return Info{}, false
	}
	return Info{Kind: F2FS, UUID: uuidText(b[108:124]), Label: wideText(b[124 : 124+1024]), Clean: true}, true
}

// probeVFAT knows the label of the boot sector only. The one in the root directory, which mkfs
// makes equal to it and some tools change alone, is the one that udev prefers.
func probeVFAT(d *device) (Info, bool) {
	b := d.head[:512]
	if b[510] != 0x55 || b[511] != 0xaa || (b[0] != 0xeb && b[0] != 0xe9) {
		return Info{}, false
	}
	// Serial number, label and state have other places in FAT32.
	var extended int
	switch {
	case hasAt(b, 82, "FAT32   "):
		extended = 64
	case hasAt(b, 54, "FAT12   "), hasAt(b, 54, "FAT16   "), hasAt(b, 54, "FAT     "):
		extended = 36
	default:
		return Info{}, false
	}
	sector, cluster := binary.LittleEndian.Uint16(b[11:]), b[13]
	if sector < 512 || sector > 4096 || bits.OnesCount16(sector) != 1 || bits.OnesCount8(cluster) != 1 {
		return Info{}, false
	}
	if reserved, tables := binary.LittleEndian.Uint16(b[14:]), b[16]; reserved == 0 || tables == 0 {
		return Info{}, false
	}
	info := Info{Kind: VFAT, Clean: b[extended+1]&1 == 0}
	if b[extended+2] == 0x29 { // serial number and label are there
		if serial := binary.LittleEndian.Uint32(b[extended+3:]); serial != 0 {
			info.UUID = fmt.Sprintf("%04X-%04X", serial>>16, serial&0xffff)
		}
		info.Label = plainText(b[extended+7 : extended+18])
		if info.Label == "NO NAME" {
			info.Label = ""
		}
	}
	return info, true
}
