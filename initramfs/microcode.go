package initramfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/preroot/preroot/initramfs/contents"
)

// maxMicrocodeSize bounds one file of microcode, in bytes.
const maxMicrocodeSize = 64 << 20

// microcodeFolder is where the kernel looks for it (the kernel's Documentation/arch/x86/microcode.rst).
const microcodeFolder = "kernel/x86/microcode"

// readMicrocode makes the archive that stands in front of the image, not compressed, since the kernel reads it before it
// can unpack anything. A file may be such an archive itself, as iucode_tool makes, a container of microcode as in
// linux-firmware, or a directory of those.
func readMicrocode(files []string, modifiedAt int64) ([]byte, error) {
	var whole, intel, amd []byte
	for _, file := range files {
		parts, err := microcodeFiles(file)
		if err != nil {
			return nil, fmt.Errorf("add microcode: %w", err)
		}
		for _, part := range parts {
			content, err := readBounded(part, maxMicrocodeSize)
			if err != nil {
				return nil, fmt.Errorf("add microcode: %w", err)
			}
			switch kind := microcodeKind(content); kind {
			case "archive":
				if err := checkMicrocodeArchive(content); err != nil {
					return nil, fmt.Errorf("add microcode: %s: %w", part, err)
				}
				whole = append(whole, pad(content, 4)...)
			case "intel":
				intel = append(intel, content...)
			case "amd":
				amd = append(amd, content...)
			default:
				return nil, fmt.Errorf("add microcode: %s is neither microcode of Intel or AMD nor a plain cpio archive of it", part)
			}
		}
	}
	if len(intel)+len(amd) > 0 {
		whole = append(whole, microcodeArchive(intel, amd, modifiedAt)...)
	}
	return whole, nil
}

// microcodeFiles gives the files of a directory, sorted, or the file itself.
func microcodeFiles(file string) ([]string, error) {
	info, err := os.Stat(file)
	if err != nil || !info.IsDir() {
		return []string{file}, err
	}
	entries, err := os.ReadDir(file)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		// Signatures and texts lie beside AMD's.
		if entry.Type().IsRegular() && !strings.HasSuffix(entry.Name(), ".asc") && !strings.HasPrefix(entry.Name(), "README") {
			files = append(files, filepath.Join(file, entry.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no file", file)
	}
	sort.Strings(files)
	return files, nil
}

// microcodeKind looks at the first bytes: Intel's update header has version 1 and loader 1 (Intel SDM volume 3, 9.11),
// AMD's container begins with "DMA" and a NUL (arch/x86/kernel/cpu/microcode/amd.c).
func microcodeKind(content []byte) string {
	switch {
	case bytes.HasPrefix(content, []byte("070701")), bytes.HasPrefix(content, []byte("070702")):
		return "archive"
	case bytes.HasPrefix(content, []byte("DMA\x00")):
		return "amd"
	case len(content) >= 48 && len(content)%4 == 0 && binary.LittleEndian.Uint32(content) == 1 && binary.LittleEndian.Uint32(content[20:]) == 1:
		return "intel"
	}
	return ""
}

// checkMicrocodeArchive makes sure that an archive is plain and has microcode where the kernel looks for it.
func checkMicrocodeArchive(content []byte) error {
	found := false
	parts, err := contents.Walk(bytes.NewReader(content), int64(len(content)), func(e contents.Entry, _ io.Reader) error {
		name := strings.TrimPrefix(e.Name, "./")
		switch {
		case strings.HasPrefix(name, microcodeFolder+"/"):
			found = true
		case e.Mode&0o170000 != 0o040000 && !strings.HasPrefix(name, "kernel/"):
			return fmt.Errorf("it holds %s, which is no microcode", e.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.Compression != contents.Plain {
			return errors.New("it is compressed in part, and the kernel reads microcode from a plain archive")
		}
	}
	if !found {
		return fmt.Errorf("it has nothing in %s", microcodeFolder)
	}
	return nil
}

// microcodeArchive writes the archive itself. mkuimage's writer cannot fill up names, and Intel's processors want
// the data at a multiple of 16 bytes.
func microcodeArchive(intel, amd []byte, modifiedAt int64) []byte {
	var b []byte
	inode := 0
	add := func(name string, mode int, content []byte, alignment int) {
		inode++
		padded := len(name) + 1
		for (len(b)+110+padded)%alignment != 0 {
			padded++
		}
		b = fmt.Appendf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			inode, mode, 0, 0, 1, modifiedAt, len(content), 0, 0, 0, 0, padded, 0)
		b = append(b, name...)
		b = append(b, make([]byte, padded-len(name))...)
		b = append(pad(b, 4), content...)
		b = pad(b, 4)
	}
	for _, folder := range []string{"kernel", "kernel/x86", microcodeFolder} {
		add(folder, 0o40755, nil, 1)
	}
	if len(amd) > 0 {
		add(microcodeFolder+"/AuthenticAMD.bin", 0o100644, amd, 16)
	}
	if len(intel) > 0 {
		add(microcodeFolder+"/GenuineIntel.bin", 0o100644, intel, 16)
	}
	modifiedAt, inode = 0, -1
	add("TRAILER!!!", 0, nil, 1)
	return pad(b, 512)
}

// pad fills up with zeros to a multiple.
func pad(b []byte, multiple int) []byte {
	return append(b, make([]byte, (multiple-len(b)%multiple)%multiple)...)
}
