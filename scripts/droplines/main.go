// Command droplines takes the tables of source lines and file names out of a Go program. Go's linker keeps them even
// with -s -w; they are an eighth of the compressed program, and of use only in the trace of a panic. What the runtime needs to
// run (frame sizes, pointer maps, function names) is left, and no byte moves: a trace still names functions and offsets,
// and the same build without this step has the lines for them.
//
// Usage: droplines FILE...
package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"strings"
)

// knownGo is the Go whose tables were looked at. Another one may arrange them otherwise and run into what is not there.
const knownGo = "go1.26."

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: droplines FILE...")
		os.Exit(1)
	}
	for _, name := range os.Args[1:] {
		if err := dropFrom(name); err != nil {
			fmt.Fprintf(os.Stderr, "droplines: %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

// dropFrom changes a program in place: all of it or nothing, unless the write itself fails.
func dropFrom(name string) error {
	program, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := dropLines(program); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, program, info.Mode().Perm())
}

// dropLines changes the bytes of a program, which is an ELF file of a Go whose tables we know.
func dropLines(program []byte) error {
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("find out which Go made it: %w", err)
	}
	if !strings.HasPrefix(info.GoVersion, knownGo) {
		return fmt.Errorf("it was made by %s, and only the tables of %sx are known", info.GoVersion, knownGo)
	}
	section := file.Section(".gopclntab")
	if section == nil {
		return fmt.Errorf("find its table of functions: there is no section .gopclntab")
	}
	if file.Class != elf.ELFCLASS64 || file.Data != elf.ELFDATA2LSB {
		return fmt.Errorf("read its table of functions: it is for %s, %s", file.Class, file.Data)
	}
	if section.Type != elf.SHT_PROGBITS || section.Offset > uint64(len(program)) || section.FileSize > uint64(len(program))-section.Offset {
		return fmt.Errorf("read its table of functions: it lies outside the file")
	}
	table, err := parseFunctionTable(program[section.Offset:][:section.FileSize])
	if err != nil {
		return fmt.Errorf("read its table of functions: %w", err)
	}
	return table.drop()
}
