package veritytable

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Table is what the kernel's "verity" target is told.
type Table struct {
	Superblock
	DataDevice, HashDevice string // "major:minor"
	// StartBlock is the first block of the tree (Geometry.StartBlock), not of the superblock.
	StartBlock uint64
	RootHash   []byte
	Options    Options
}

// Line returns the parameters of the target: what stands behind "START LENGTH verity" in a
// line of dmsetup table. A table from a checked superblock has no white space
// but that between words.
func (t *Table) Line() string {
	salt := "-"
	if len(t.Salt) > 0 {
		salt = hex.EncodeToString(t.Salt)
	}
	words := []string{
		strconv.FormatUint(uint64(t.HashType), 10),
		t.DataDevice,
		t.HashDevice,
		strconv.FormatUint(uint64(t.DataBlockSize), 10),
		strconv.FormatUint(uint64(t.HashBlockSize), 10),
		strconv.FormatUint(t.DataBlocks, 10),
		strconv.FormatUint(t.StartBlock, 10),
		t.Algorithm,
		hex.EncodeToString(t.RootHash),
		salt,
	}
	if options := t.Options.words(); len(options) > 0 {
		words = append(words, strconv.Itoa(len(options)))
		words = append(words, options...)
	}
	return strings.Join(words, " ")
}

// Sectors returns the length of the mapping in sectors of 512 bytes.
func (t *Table) Sectors() uint64 { return uint64(t.dataBytes()) / sectorSize }

// maxDeviceUUID is DM_UUID_LEN of the kernel without the NUL byte.
const maxDeviceUUID = 128

// deviceUUIDPrefix starts the UUIDs of the verity devices that libcryptsetup makes.
const deviceUUIDPrefix = "CRYPT-VERITY-"

// DeviceUUID returns the device-mapper UUID that libcryptsetup gives a verity device of this name,
// by which veritysetup, systemd and the udev rules know it again: "CRYPT-VERITY-", the
// superblock's UUID without dashes, "-", name; cut to the 128 bytes that the kernel has for it.
//
// A tree without a superblock has no UUID and is "CRYPT-VERITY-", name: see BareDeviceUUID.
func DeviceUUID(uuid [16]byte, name string) string {
	return BareDeviceUUID(hex.EncodeToString(uuid[:]) + "-" + name)
}

// BareDeviceUUID is DeviceUUID for a tree without a superblock.
func BareDeviceUUID(name string) string {
	text := deviceUUIDPrefix + name
	return text[:min(len(text), maxDeviceUUID)]
}

// IsDeviceUUID reports whether a device-mapper UUID is that of a verity device: one made by
// libcryptsetup, systemd or this project.
func IsDeviceUUID(uuid string) bool { return strings.HasPrefix(uuid, deviceUUIDPrefix) }
