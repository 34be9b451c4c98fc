package initramfs

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxKernelSize bounds a kernel image, packed or not, in bytes.
const maxKernelSize = 512 << 20

// releaseOfImage reads the release that a kernel image names.
func releaseOfImage(file string) (string, error) {
	content, err := readBounded(file, maxKernelSize)
	if err != nil {
		return "", err
	}
	release, err := parseKernelImage(content)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return release, nil
}

// parseKernelImage understands x86's bzImage (the kernel's Documentation/arch/x86/boot.rst), arm64's Image
// (Documentation/arch/arm64/booting.rst), the same packed with gzip, and the EFI form that unpacks itself
// (drivers/firmware/efi/libstub/zboot-header.S) with gzip or zstd.
func parseKernelImage(content []byte) (string, error) {
	switch {
	case len(content) > 0x210 && string(content[0x202:0x206]) == "HdrS":
		at := int(binary.LittleEndian.Uint16(content[0x20e:])) + 0x200
		if at == 0x200 || at >= len(content) {
			return "", errors.New("the kernel image names no release")
		}
		return firstWord(content[at:])
	case len(content) > 64 && string(content[4:8]) == "zimg":
		return parseZboot(content)
	case bytes.HasPrefix(content, []byte("\x1f\x8b")):
		unpacked, err := unpack(content, ".ko.gz", maxKernelSize)
		if err != nil {
			return "", fmt.Errorf("unpack kernel image: %w", err)
		}
		return parsePlainImage(unpacked)
	}
	return parsePlainImage(content)
}

// parseZboot unpacks what stands behind the EFI header. Bytes behind the packed part do not count.
func parseZboot(content []byte) (string, error) {
	start, size := uint64(binary.LittleEndian.Uint32(content[8:])), uint64(binary.LittleEndian.Uint32(content[12:]))
	if start+size > uint64(len(content)) {
		return "", errors.New("the kernel image is cut")
	}
	kind, _, _ := strings.Cut(string(content[0x18:0x38]), "\x00")
	packed := bytes.NewReader(content[start : start+size])
	var r io.Reader
	switch kind {
	case "gzip":
		g, err := gzip.NewReader(packed)
		if err != nil {
			return "", fmt.Errorf("unpack kernel image: %w", err)
		}
		g.Multistream(false)
		r = g
	case "zstd22", "zstd":
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return "", fmt.Errorf("unpack kernel image: %w", err)
		}
		defer z.Close()
		r = z
	default:
		return "", fmt.Errorf("the kernel image is packed with %q, which is not read here: name the release", kind)
	}
	unpacked, err := io.ReadAll(io.LimitReader(r, maxKernelSize))
	if err != nil && len(unpacked) == 0 {
		return "", fmt.Errorf("unpack kernel image: %w", err)
	}
	return parsePlainImage(unpacked)
}

// parsePlainImage looks for the banner of arm64's Image (init/version.c).
func parsePlainImage(content []byte) (string, error) {
	if len(content) < 64 || string(content[0x38:0x3c]) != "ARM\x64" {
		return "", errors.New("it is no kernel image (neither x86's bzImage nor arm64's Image)")
	}
	for rest := content; ; {
		_, after, found := bytes.Cut(rest, []byte("Linux version "))
		if !found {
			return "", errors.New("the kernel image names no release")
		}
		// The format string of the banner itself stands there as well.
		if len(after) > 0 && after[0] >= '0' && after[0] <= '9' {
			return firstWord(after)
		}
		rest = after
	}
}

// firstWord gives the release at the start of a text. It becomes a folder's name.
func firstWord(text []byte) (string, error) {
	text = text[:min(len(text), 256)]
	end := bytes.IndexAny(text, " \x00\n")
	if end < 1 || bytes.ContainsAny(text[:end], "/") {
		return "", errors.New("the kernel image names no release")
	}
	return string(text[:end]), nil
}
