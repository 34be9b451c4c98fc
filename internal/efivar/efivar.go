// Package efivar reads variables of the EFI firmware from a mounted efivarfs. It writes none.
//
// Whoever is root in the running system, or has the disk of a virtual machine's firmware, may have written them.
package efivar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"unicode/utf16"
)

// FirmwareDirectory is there on machines that were started by EFI, Directory is where efivarfs is mounted then.
const (
	FirmwareDirectory = "/sys/firmware/efi"
	Directory         = FirmwareDirectory + "/efivars"
)

// Vendors of variables, as their names end: the boot loader interface (systemd-boot(7), systemd-stub(7)), and systemd itself.
const (
	Loader  = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
	Systemd = "8cf2644b-4b0b-428f-9387-6d876050dc67"
)

const (
	// attributesSize is what precedes the value in a file, in bytes (kernel documentation filesystems/efivarfs).
	attributesSize = 4
	// maxSize bounds a value in bytes; those read here are short.
	maxSize = 64 << 10
)

// ErrMalformed says that a variable is not what its name promises.
var ErrMalformed = errors.New("malformed")

// Read returns the value of a variable below a directory, without its attributes. The error matches fs.ErrNotExist if
// there is none.
func Read(directory, name, vendor string) ([]byte, error) {
	file, err := os.Open(path.Join(directory, name+"-"+vendor))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, attributesSize+maxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read EFI variable %s: %w", name, err)
	case len(content) < attributesSize:
		return nil, fmt.Errorf("read EFI variable %s: %w: %d bytes", name, ErrMalformed, len(content))
	case len(content) > attributesSize+maxSize:
		return nil, fmt.Errorf("read EFI variable %s: %w: more than %d bytes", name, ErrMalformed, maxSize)
	}
	return content[attributesSize:], nil
}

// ReadText returns the value of a variable that is text.
func ReadText(directory, name, vendor string) (string, error) {
	value, err := Read(directory, name, vendor)
	if err != nil {
		return "", err
	}
	text, err := ParseText(value)
	if err != nil {
		return "", fmt.Errorf("read EFI variable %s: %w", name, err)
	}
	return text, nil
}

// ParseText reads UTF-16LE, which may end with one NUL or more. What is no character becomes U+FFFD.
func ParseText(value []byte) (string, error) {
	if len(value)%2 != 0 {
		return "", fmt.Errorf("%w: UTF-16 of %d bytes", ErrMalformed, len(value))
	}
	var units []uint16
	for ; len(value) > 0; value = value[2:] {
		unit := binary.LittleEndian.Uint16(value)
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	return string(utf16.Decode(units)), nil
}
