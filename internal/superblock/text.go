package superblock

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// uuidText spells 16 bytes as 8-4-4-4-12 digits; all zero means there is no UUID.
func uuidText(b []byte) string {
	if len(bytes.Trim(b, "\x00")) == 0 {
		return ""
	}
	text := hex.EncodeToString(b)
	return text[0:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:32]
}

// plainText returns the text of a field that is padded with NUL bytes or spaces.
func plainText(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return strings.TrimRight(string(b), " \t\n")
}

// wideText does the same for UTF-16, little endian.
func wideText(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		unit := binary.LittleEndian.Uint16(b)
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	return strings.TrimRight(string(utf16.Decode(units)), " \t\n")
}

// wordText returns a field that is text on disk already, empty if it has other
// characters than letters, digits and dashes.
func wordText(b []byte) string {
	text := plainText(b)
	for i := range len(text) {
		c := text[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && c != '-' {
			return ""
		}
	}
	return text
}
