package superblock

import "encoding/binary"

const raidMagic = 0xa92b4efc

// probeRAID finds members of Linux software RAID, versions 1.1 and 1.2, and 1.0 and 0.90 where the
// size of the device is known.
func probeRAID(d *device) (Info, bool) {
	for _, place := range []struct {
		b  []byte
		at int64
	}{
		{d.head[:4096], 0},
		{d.head[4096:], 4096},
		{d.raid10, d.raid10At},
	} {
		b := place.b
		if b == nil || binary.LittleEndian.Uint32(b) != raidMagic || binary.LittleEndian.Uint32(b[4:]) != 1 {
			continue
		}
		if own := binary.LittleEndian.Uint64(b[144:]); own != uint64(place.at)/512 {
			continue
		}
		return Info{Kind: RAID, UUID: uuidText(b[16:32]), Label: plainText(b[32:64]), Clean: true}, true
	}
	b := d.raid09
	if b == nil || binary.LittleEndian.Uint32(b) != raidMagic ||
		binary.LittleEndian.Uint32(b[4:]) != 0 || binary.LittleEndian.Uint32(b[8:]) != 90 {
		return Info{}, false
	}
	// Four words, printed as numbers.
	var uuid [16]byte
	for i, offset := range [...]int{20, 52, 56, 60} {
		binary.BigEndian.PutUint32(uuid[4*i:], binary.LittleEndian.Uint32(b[offset:]))
	}
	return Info{Kind: RAID, UUID: uuidText(uuid[:]), Clean: true}, true
}

// probeLVM finds an LVM2 physical volume, whose label is in one of the first four sectors.
func probeLVM(d *device) (Info, bool) {
	for sector := range 4 {
		b := d.head[sector*512 : sector*512+512]
		if !hasAt(b, 0, "LABELONE") || !hasAt(b, 24, "LVM2 001") {
			continue
		}
		if binary.LittleEndian.Uint64(b[8:]) != uint64(sector) { // its own place
			continue
		}
		info := Info{Kind: LVM, Clean: true}
		if at := binary.LittleEndian.Uint32(b[20:]); at >= 32 && at <= 512-32 {
			if id := wordText(b[at : at+32]); len(id) == 32 {
				info.UUID = id[0:6] + "-" + id[6:10] + "-" + id[10:14] + "-" + id[14:18] + "-" +
					id[18:22] + "-" + id[22:26] + "-" + id[26:32]
			}
		}
		return info, true
	}
	return Info{}, false
}

// probeLUKS finds LUKS1 and LUKS2 by their first header.
func probeLUKS(d *device) (Info, bool) {
	b := d.head[:]
	if !hasAt(b, 0, "LUKS\xba\xbe") {
		return Info{}, false
	}
	info := Info{Kind: LUKS, UUID: wordText(b[168:208]), Clean: true}
	switch binary.BigEndian.Uint16(b[6:]) {
	case 1:
	case 2:
		info.Label = plainText(b[24:72])
	default:
		return Info{}, false
	}
	return info, true
}

// probeVerity finds the superblock in front of a dm-verity hash tree.
func probeVerity(d *device) (Info, bool) {
	b := d.head[:]
	if !hasAt(b, 0, "verity\x00\x00") || binary.LittleEndian.Uint32(b[8:]) != 1 {
		return Info{}, false
	}
	return Info{Kind: Verity, UUID: uuidText(b[16:32]), Clean: true}, true
}

func probeSwap(d *device) (Info, bool) {
	return d.swapWith(Swap, "SWAPSPACE2", "SWAP-SPACE")
}

// probeHibernate finds the signatures that the kernel and uswsusp put in the place of
// swap's while an image lies in it.
func probeHibernate(d *device) (Info, bool) {
	return d.swapWith(Hibernate, "S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001")
}

// swapWith looks for one of the magics at the end of the first page, of any size that a
// kernel may have.
func (d *device) swapWith(kind Kind, magics ...string) (Info, bool) {
	for _, end := range [][]byte{
		d.head[4096-swapMarker:], d.head[8192-swapMarker:], d.swap16k[:], d.swap32k[:],
		d.far[65536-farStart-swapMarker:],
	} {
		for _, magic := range magics {
			if hasAt(end, 0, magic) {
				return Info{
					Kind: kind, UUID: uuidText(d.head[1036:1052]), Label: plainText(d.head[1052:1068]), Clean: true,
				}, true
			}
		}
	}
	return Info{}, false
}
