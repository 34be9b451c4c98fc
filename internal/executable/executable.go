// Package executable reads from the start of a program what else the kernel needs to execute it: the interpreter of
// an ELF program (elf(5)) or of a script (execve(2)), and the machine that the program is for.
//
// It tells why a program that is there could not be executed before anybody tries: afterwards the kernel only says
// "no such file or directory". It does not look at shared libraries.
package executable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Program is what is known of an executable file.
type Program struct {
	// Interpreter is the path of the program that the kernel starts in its place, "" if there is none.
	Interpreter string
	// Machine is e_machine of an ELF program, 0 for a script.
	Machine Machine
}

// Machine is the e_machine field of an ELF header.
type Machine uint16

// The machines that a kernel of ours may be for, and those whose programs it may execute besides its own.
const (
	machine386   Machine = 3
	machineARM   Machine = 40
	machineAMD64 Machine = 62
	machineARM64 Machine = 183
)

// RunsOn reports whether a kernel for a Go architecture (runtime.GOARCH) executes programs for the machine. Of
// architectures it does not know it says yes.
func (m Machine) RunsOn(architecture string) bool {
	switch {
	case m == 0:
		return true
	case architecture == "amd64":
		return m == machineAMD64 || m == machine386
	case architecture == "arm64":
		return m == machineARM64 || m == machineARM
	}
	return true
}

// ErrNotExecutable is what starts neither as an ELF program nor as a script: execve(2) answers it with ENOEXEC.
var ErrNotExecutable = errors.New("neither an ELF program nor a script with an interpreter")

// maxScriptLine is how much of a script the kernel looks at (BINPRM_BUF_SIZE).
const maxScriptLine = 256

// Read looks at the start of a program. Errors are ErrNotExecutable, those of r, and what is wrong with an ELF header.
func Read(r io.ReaderAt) (Program, error) {
	start := make([]byte, maxScriptLine)
	n, err := r.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return Program{}, err
	}
	start = start[:n]
	switch {
	case bytes.HasPrefix(start, []byte("#!")):
		return readScript(start[2:])
	case bytes.HasPrefix(start, []byte("\x7fELF")):
		return readELF(r, start)
	}
	return Program{}, ErrNotExecutable
}

// readScript finds the interpreter in the line behind "#!".
func readScript(line []byte) (Program, error) {
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	words := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' || r == 0 })
	if len(words) == 0 {
		return Program{}, ErrNotExecutable
	}
	return Program{Interpreter: words[0]}, nil
}

const (
	classOffset, class32, class64 = 4, 1, 2
	orderOffset, littleEndian     = 5, 1
	machineOffset                 = 18
	segmentInterpreter            = 3 // PT_INTERP
	// maxSegments bounds the table of program headers; the kernel takes at most 64 KiB of it.
	maxSegments = 1 << 10
	maxPath     = 4096
)

// elfLayout is where a class of ELF files keeps what is read here.
type elfLayout struct {
	header, tableAt, entrySize, entryCount int
	entry, segmentAt, segmentSize          int
	word                                   int
}

// layouts are those of the classes. The first one is none.
var layouts = [...]elfLayout{
	class32: {header: 52, tableAt: 28, entrySize: 42, entryCount: 44, entry: 32, segmentAt: 4, segmentSize: 16, word: 4},
	class64: {header: 64, tableAt: 32, entrySize: 54, entryCount: 56, entry: 56, segmentAt: 8, segmentSize: 32, word: 8},
}

func readELF(r io.ReaderAt, start []byte) (Program, error) {
	if len(start) <= machineOffset+1 || start[orderOffset] != littleEndian {
		return Program{}, errors.New("its ELF header is not of a machine that preroot runs on")
	}
	class := start[classOffset]
	if class != class32 && class != class64 || len(start) < layouts[class].header {
		return Program{}, errors.New("its ELF header is damaged")
	}
	layout := &layouts[class]
	program := Program{Machine: Machine(binary.LittleEndian.Uint16(start[machineOffset:]))}
	table := layout.readWord(start[layout.tableAt:])
	size, count := binary.LittleEndian.Uint16(start[layout.entrySize:]), binary.LittleEndian.Uint16(start[layout.entryCount:])
	if int(size) < layout.entry || count == 0 || count > maxSegments || table > 1<<40 {
		return program, errors.New("its ELF program headers are damaged")
	}
	entry := make([]byte, layout.entry)
	for i := range int64(count) {
		if _, err := r.ReadAt(entry, int64(table)+i*int64(size)); err != nil {
			return program, fmt.Errorf("read its ELF program headers: %w", err)
		}
		if binary.LittleEndian.Uint32(entry) != segmentInterpreter {
			continue
		}
		at, length := layout.readWord(entry[layout.segmentAt:]), layout.readWord(entry[layout.segmentSize:])
		if length < 2 || length > maxPath || at > 1<<40 {
			return program, errors.New("the interpreter in its ELF header is damaged")
		}
		text := make([]byte, length)
		if _, err := r.ReadAt(text, int64(at)); err != nil {
			return program, fmt.Errorf("read the interpreter in its ELF header: %w", err)
		}
		text, _, ended := bytes.Cut(text, []byte{0})
		if !ended || len(text) == 0 {
			return program, errors.New("the interpreter in its ELF header is damaged")
		}
		program.Interpreter = string(text)
		return program, nil
	}
	return program, nil
}

func (l elfLayout) readWord(bytes []byte) uint64 {
	if l.word == 4 {
		return uint64(binary.LittleEndian.Uint32(bytes))
	}
	return binary.LittleEndian.Uint64(bytes)
}
