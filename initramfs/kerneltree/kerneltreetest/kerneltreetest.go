// Package kerneltreetest makes files that look like kernel modules, for tests.
package kerneltreetest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// Signature stands for what sign-file appends to a module.
const Signature = "\x30\x82\x01\x00PKCS7\x00\x00\x01\x02~Module signature appended~\n"

// Module gives an ELF file with a section .modinfo for a kernel release, further entries of it ("license=GPL"), and a
// signature at its end.
func Module(release string, machine elf.Machine, entries ...string) []byte {
	info := strings.Join(append([]string{"vermagic=" + release + " SMP preempt mod_unload modversions "}, entries...), "\x00") + "\x00"
	const names = "\x00.modinfo\x00.shstrtab\x00"
	header := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	header.Shoff = uint64(64 + len(info) + len(names))
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(info)), Addralign: 1},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + len(info)), Size: uint64(len(names)), Addralign: 1},
	}
	var b bytes.Buffer
	// A buffer never fails.
	_ = binary.Write(&b, binary.LittleEndian, header)
	b.WriteString(info + names)
	_ = binary.Write(&b, binary.LittleEndian, sections)
	b.WriteString(Signature)
	return b.Bytes()
}
