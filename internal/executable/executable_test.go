package executable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// buildELF makes the start of a program of a class with one segment that is not looked at and, if interpreter is not
// empty, one that names it.
func buildELF(class byte, machine Machine, interpreter string) []byte {
	layout := layouts[class]
	image := make([]byte, 1024)
	copy(image, "\x7fELF")
	image[classOffset], image[orderOffset] = class, littleEndian
	put := func(at int, value int) {
		if layout.word == 4 {
			binary.LittleEndian.PutUint32(image[at:], uint32(value))
		} else {
			binary.LittleEndian.PutUint64(image[at:], uint64(value))
		}
	}
	binary.LittleEndian.PutUint16(image[machineOffset:], uint16(machine))
	const table, text = 128, 512
	put(layout.tableAt, table)
	binary.LittleEndian.PutUint16(image[layout.entrySize:], uint16(layout.entry))
	binary.LittleEndian.PutUint16(image[layout.entryCount:], 1)
	binary.LittleEndian.PutUint32(image[table:], 1) // PT_LOAD
	if interpreter != "" {
		binary.LittleEndian.PutUint16(image[layout.entryCount:], 2)
		at := table + layout.entry
		binary.LittleEndian.PutUint32(image[at:], segmentInterpreter)
		put(at+layout.segmentAt, text)
		put(at+layout.segmentSize, len(interpreter)+1)
		copy(image[text:], interpreter)
	}
	return image
}

func TestRead(t *testing.T) {
	const loader = "/lib64/ld-linux-x86-64.so.2"
	for name, c := range map[string]struct {
		file []byte
		want Program
	}{
		"64 bits, dynamic": {buildELF(class64, machineAMD64, loader), Program{loader, machineAMD64}},
		"64 bits, static":  {buildELF(class64, machineARM64, ""), Program{"", machineARM64}},
		"32 bits, dynamic": {buildELF(class32, machine386, "/lib/ld-linux.so.2"), Program{"/lib/ld-linux.so.2", machine386}},
		"32 bits, static":  {buildELF(class32, machineARM, ""), Program{"", machineARM}},
		"script":           {[]byte("#!/bin/sh\necho"), Program{Interpreter: "/bin/sh"}},
		"argument":         {[]byte("#! \t/usr/bin/env -S x y\n"), Program{Interpreter: "/usr/bin/env"}},
		"without an end":   {[]byte("#!/bin/sh"), Program{Interpreter: "/bin/sh"}},
	} {
		if got, err := Read(bytes.NewReader(c.file)); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// A real program: this one.
func TestReadItself(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	program, err := Read(file)
	if err != nil || program.Machine == 0 {
		t.Errorf("%+v, %v", program, err)
	}
}

func TestReadRefuses(t *testing.T) {
	change := func(at int, value byte) []byte {
		file := buildELF(class64, machineAMD64, "/lib64/ld.so")
		file[at] = value
		return file
	}
	const secondEntry = 128 + 56
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":               {nil, "neither an ELF program nor a script"},
		"text":                {[]byte("exit 0\n"), "neither an ELF program nor a script"},
		"no interpreter":      {[]byte("#!\n/bin/sh"), "neither an ELF program nor a script"},
		"cut":                 {buildELF(class64, machineAMD64, "")[:30], "header is damaged"},
		"cut early":           {[]byte("\x7fELF"), "not of a machine"},
		"class":               {change(classOffset, 3), "header is damaged"},
		"byte order":          {change(orderOffset, 2), "not of a machine"},
		"no segments":         {change(layouts[class64].entryCount, 0), "program headers are damaged"},
		"many segments":       {change(layouts[class64].entryCount+1, 0xff), "program headers are damaged"},
		"small entries":       {change(layouts[class64].entrySize, 8), "program headers are damaged"},
		"table far away":      {change(layouts[class64].tableAt+7, 0x7f), "program headers are damaged"},
		"table behind":        {change(layouts[class64].tableAt+1, 0x40), "read its ELF program headers: EOF"},
		"interpreter far":     {change(secondEntry+8+7, 0x7f), "interpreter in its ELF header is damaged"},
		"interpreter behind":  {change(secondEntry+8+2, 1), "read the interpreter in its ELF header: EOF"},
		"interpreter long":    {change(secondEntry+32+2, 1), "interpreter in its ELF header is damaged"},
		"interpreter endless": {change(secondEntry+32, 3), "interpreter in its ELF header is damaged"},
	} {
		if program, err := Read(bytes.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, program, err)
		}
	}
	broken := errors.New("broken disk")
	if _, err := Read(readerAt{iotest.ErrReader(broken)}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// readerAt reads from the front whatever is asked for.
type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(b []byte, _ int64) (int, error) { return r.Read(b) }

func TestRunsOn(t *testing.T) {
	for _, c := range []struct {
		machine      Machine
		architecture string
		want         bool
	}{
		{machineAMD64, "amd64", true}, {machine386, "amd64", true}, {machineARM64, "amd64", false},
		{machineARM64, "arm64", true}, {machineARM, "arm64", true}, {machineAMD64, "arm64", false},
		{0, "amd64", true}, {243, "riscv64", true},
	} {
		if got := c.machine.RunsOn(c.architecture); got != c.want {
			t.Errorf("%d on %s: %v", c.machine, c.architecture, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(buildELF(class64, machineAMD64, "/lib64/ld.so"))
	f.Add(buildELF(class32, machine386, ""))
	f.Add([]byte("#! /bin/sh -e\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		program, err := Read(bytes.NewReader(file))
		if err == nil && len(program.Interpreter) > maxPath {
			t.Errorf("%+v", program)
		}
	})
}
