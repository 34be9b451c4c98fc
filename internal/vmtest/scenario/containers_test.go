//go:build vm

package scenario

import (
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// fillRoot puts the start of something else in the place of the root's file system. The real blkid must see what it is meant to be.
func fillRoot(kind string, start []byte) func(*testing.T, *vmtest.Testbed, string) {
	return func(t *testing.T, b *vmtest.Testbed, disk string) {
		t.Helper()
		at := offsetOf(t, b, "ROOT_OFFSET")
		if err := vmtest.PatchDisk(disk, at, start); err != nil {
			t.Fatal(err)
		}
		tool(t, b, "usr/sbin/blkid", "--probe", "--offset", strconv.FormatInt(at, 10), "--match-types", kind, disk)
	}
}

// luks looks like a LUKS2 header: as much as is looked at (LUKS2 on-disk format specification, section 2.1).
func luks() []byte {
	b := make([]byte, 64<<10)
	copy(b, "LUKS\xba\xbe\x00\x02")
	copy(b[168:], "11111111-2222-3333-4444-555555555555")
	return b
}

// raidMember looks like a member of a RAID with a superblock of version 1.2 (Linux, include/uapi/linux/raid/md_p.h).
func raidMember() []byte {
	b := make([]byte, 64<<10)
	s := b[4096:]
	binary.LittleEndian.PutUint32(s, 0xa92b4efc)
	binary.LittleEndian.PutUint32(s[4:], 1)
	copy(s[16:], "sixteen bytes id")
	copy(s[32:], "host:root")
	binary.LittleEndian.PutUint64(s[144:], 8)
	// The sum of 256 bytes and two for each device (drivers/md/md.c, calc_sb_1_csum), of which there is none.
	sum := uint64(0)
	for at := 0; at < 256; at += 4 {
		sum += uint64(binary.LittleEndian.Uint32(s[at:]))
	}
	binary.LittleEndian.PutUint32(s[216:], uint32(sum)+uint32(sum>>32))
	return b
}

// physicalVolume looks like one of LVM2: a label in the second sector (LVM2, lib/label/label.h and lib/format_text/layout.h).
func physicalVolume() []byte {
	b := make([]byte, 64<<10)
	s := b[512:1024]
	copy(s, "LABELONE")
	binary.LittleEndian.PutUint64(s[8:], 1)
	binary.LittleEndian.PutUint32(s[20:], 32)
	copy(s[24:], "LVM2 001")
	copy(s[32:], "0123456789abcdef0123456789abcdef")
	const startOfSum = 0xf597a6cf
	binary.LittleEndian.PutUint32(s[16:], ^crc32.Update(^uint32(startOfSum), crc32.IEEETable, s[20:]))
	return b
}
