package kerneltree

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// signatureEnd stands at the end of a signed module (the kernel's include/linux/module_signature.h).
const signatureEnd = "~Module signature appended~\n"

// ModuleInfo is what a module says about itself.
type ModuleInfo struct {
	// Release is that of the kernel it was built for: the first word of its vermagic.
	Release string
	Machine elf.Machine
	Signed  bool
	// License and Firmware are as they stand there; Firmware are paths below /lib/firmware.
	License  string
	Firmware []string
}

// ReadModuleInfo reads the section .modinfo of a module that is not compressed.
func ReadModuleInfo(module []byte) (info ModuleInfo, err error) {
	// debug/elf has had panics on damaged files, and this one is somebody's.
	defer func() {
		if recover() != nil {
			err = errors.New("damaged ELF file")
		}
	}()
	file, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return info, fmt.Errorf("no ELF file: %w", err)
	}
	info.Machine = file.Machine
	info.Signed = bytes.HasSuffix(module, []byte(signatureEnd))
	section := file.Section(".modinfo")
	if section == nil || section.Type != elf.SHT_PROGBITS || section.Size > uint64(len(module)) {
		return info, errors.New("no kernel module: it has no section .modinfo")
	}
	text, err := section.Data()
	if err != nil {
		return info, fmt.Errorf("read section .modinfo: %w", err)
	}
	for entry := range strings.SplitSeq(string(text), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "vermagic":
			info.Release, _, _ = strings.Cut(value, " ")
		case "license":
			info.License = value
		case "firmware":
			if value != "" {
				info.Firmware = append(info.Firmware, value)
			}
		}
	}
	if info.Release == "" {
		return info, errors.New("no kernel module: it has no vermagic")
	}
	return info, nil
}
