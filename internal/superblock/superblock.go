// Package superblock tells which file system or other known format a device holds, by
// the magic numbers of its superblock, with UUID and label for finding it by name.
//
// Names and UUID spellings are those of blkid and udev. A match says what a driver will be asked to
// read, not that it is sound: few fields are checked besides the magic, no checksums are, and no
// secondary superblocks are looked for. Partition tables are not formats here (see package gpt).
package superblock

import (
	"fmt"
	"io"
)

// Kind is a format, in the spelling of blkid, which for file systems is also that of mount(2).
type Kind string

// The formats that are known.
const (
	Unknown   Kind = ""
	Btrfs     Kind = "btrfs"
	EROFS     Kind = "erofs"
	Ext2      Kind = "ext2"
	Ext3      Kind = "ext3"
	Ext4      Kind = "ext4"
	F2FS      Kind = "f2fs"
	Squashfs  Kind = "squashfs"
	VFAT      Kind = "vfat" // FAT12, FAT16, FAT32
	XFS       Kind = "xfs"
	LUKS      Kind = "crypto_LUKS"
	LVM       Kind = "LVM2_member"
	RAID      Kind = "linux_raid_member"
	Verity    Kind = "DM_verity_hash"
	Swap      Kind = "swap"
	Hibernate Kind = "swsuspend" // a swap area with an image to resume from
)

// IsFileSystem reports whether the format can be mounted.
func (k Kind) IsFileSystem() bool {
	switch k {
	case Btrfs, EROFS, Ext2, Ext3, Ext4, F2FS, Squashfs, VFAT, XFS:
		return true
	}
	return false
}

// Info is what a superblock says about itself. All of it can be chosen by whoever wrote
// the device: quote it before it goes to a terminal.
type Info struct {
	Kind  Kind
	UUID  string // as in /dev/disk/by-uuid, empty if the format has none or it is zero
	Label string // without trailing space; any bytes but NUL
	// Size is how much of the device an ext file system covers, in bytes; 0 for others, and for what no device can have.
	Size int64
	// Clean is false if the file system asks for a check: ext with an error noted or,
	// without a journal, not unmounted; XFS in need of repair; FAT not unmounted. A journal that
	// the next mount will replay is clean. True where the format notes nothing of the sort.
	Clean bool
	// Ambiguous lists all formats if the device looks like several. Kind is empty then, as
	// for a device with none: like blkid, this package does not choose.
	Ambiguous []Kind
}

// A prober looks for one format. It reports false if it is another one.
type prober func(d *device) (Info, bool)

// Containers come first: what a member of a RAID, or an encrypted volume, holds at its
// start may look like the file system inside, which must not be mounted past the container.
var containers = []prober{probeRAID, probeLVM, probeLUKS, probeVerity}

var contents = []prober{
	probeVFAT, probeHibernate, probeSwap, probeXFS, probeExt, probeSquashfs, probeBtrfs, probeF2FS, probeEROFS,
}

// Probe tells what r holds. It reads two areas of 8 KiB within the first 70 KiB and two places for
// swap. If r also has a method Size() int64 (io.SectionReader and bytes.Reader have), the
// superblocks of RAID members at the end are looked for as well, 8 KiB more.
//
// Devices shorter than that are fine. The error is about reading only; nothing known is
// Info{Clean: true} and no error.
func Probe(r io.ReaderAt) (Info, error) {
	d, err := readDevice(r)
	if err != nil {
		return Info{}, fmt.Errorf("probe for a superblock: %w", err)
	}
	for _, probe := range containers {
		if info, ok := probe(d); ok {
			return info, nil
		}
	}
	var found []Info
	for _, probe := range contents {
		if info, ok := probe(d); ok {
			found = append(found, info)
		}
	}
	switch {
	case len(found) == 0:
		return Info{Clean: true}, nil
	case len(found) == 1:
		return found[0], nil
	}
	info := Info{Clean: true}
	for _, one := range found {
		info.Ambiguous = append(info.Ambiguous, one.Kind)
	}
	return info, nil
}
