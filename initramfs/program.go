package initramfs

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"
)

// addInit puts the program in as /init. A program that needs an interpreter
// which is not in the image would end in a kernel panic with error -2, so it is
// refused; call it last.
//
// It gives the architecture of an ELF program by Go's name.
func addInit(l *layout, program string) (arch string, err error) {
	info, err := os.Stat(program)
	if err != nil {
		return "", fmt.Errorf("add /init: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("add /init: %s is not a regular file", program)
	}
	if info.Mode().Perm()&0o111 == 0 {
		return "", fmt.Errorf("add /init: %s is not executable", program)
	}
	interpreter, arch, err := examineProgram(program)
	if err != nil {
		return "", fmt.Errorf("add /init: %w", err)
	}
	if interpreter != "" && !l.has(interpreter) {
		return "", fmt.Errorf("add /init: %s is not static: it needs %s, which is not in the image (build it with CGO_ENABLED=0)", program, interpreter)
	}
	return arch, l.addHostFile(initPath, 0o755, program, info.Size())
}

// examineProgram gives the dynamic loader that an ELF program names, nothing for
// a static one, and its architecture; neither for what is no ELF file.
func examineProgram(program string) (interpreter, arch string, err error) {
	f, err := os.Open(program)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	e, err := elf.NewFile(f)
	if err != nil {
		return "", "", nil //nolint:nilerr // a script is as good
	}
	arch = nameOfMachine(e.Machine)
	for _, segment := range e.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(io.LimitReader(segment.Open(), maxNameLength))
		if err != nil {
			return "", "", fmt.Errorf("read interpreter of %s: %w", program, err)
		}
		return strings.TrimRight(string(name), "\x00"), arch, nil
	}
	return "", arch, nil
}
