package gpt

import (
	"encoding/hex"
	"fmt"
)

// GUID holds the 16 bytes of a GUID in the order in which they are printed. On disk the first
// three groups are little endian; Read turns them round. (Because of this order the two halves
// of a verity root hash are equal to GUIDs byte by byte.)
type GUID [16]byte

// String returns the GUID as udev and /dev/disk/by-partuuid spell it: lower
// case, groups of 8-4-4-4-12 digits.
func (g GUID) String() string {
	var text [36]byte
	hex.Encode(text[0:8], g[0:4])
	hex.Encode(text[9:13], g[4:6])
	hex.Encode(text[14:18], g[6:8])
	hex.Encode(text[19:23], g[8:10])
	hex.Encode(text[24:36], g[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// IsZero reports whether all bytes are zero, which as a type marks an unused entry.
func (g GUID) IsZero() bool { return g == GUID{} }

// ParseGUID reads the form that String writes, in upper or lower case. Braces
// and the form without dashes are refused.
func ParseGUID(text string) (GUID, error) {
	var g GUID
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return GUID{}, fmt.Errorf("parse GUID %.40q: not of the form 8-4-4-4-12", text)
	}
	digits := text[0:8] + text[9:13] + text[14:18] + text[19:23] + text[24:36]
	if _, err := hex.Decode(g[:], []byte(digits)); err != nil {
		return GUID{}, fmt.Errorf("parse GUID %q: a digit is not hexadecimal", text)
	}
	return g, nil
}

// fromDisk turns the 16 bytes of an on-disk GUID into text order. The exchange is its
// own inverse.
func fromDisk(b []byte) GUID {
	return GUID{
		b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6],
		b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15],
	}
}
