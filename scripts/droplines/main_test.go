package main

import (
	"bytes"
	"compress/flate"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestProgramRunsOn builds a program as scripts/build does, and lets it run with the tables and without them.
func TestProgramRunsOn(t *testing.T) {
	program := build(t, runtime.GOARCH)
	outBefore, traceBefore := run(t, program)
	before := readFile(t, program)
	if err := dropFrom(program); err != nil {
		t.Fatal(err)
	}
	outAfter, traceAfter := run(t, program)
	if want := "65560 runtime error: invalid memory address or nil pointer dereference\n"; outBefore != want || outAfter != want {
		t.Errorf("it said %q before and %q after, want %q", outBefore, outAfter, want)
	}
	place := regexp.MustCompile(`main\.main\(\)\n\t(\S+:\d+) \+0x[0-9a-f]+`)
	if found := place.FindStringSubmatch(traceBefore); found == nil || !strings.HasSuffix(found[1], "main.go:56") {
		t.Errorf("the trace before: %q", traceBefore)
	}
	if found := place.FindStringSubmatch(traceAfter); found == nil || found[1] != "?:0" {
		t.Errorf("the trace after: %q", traceAfter)
	}

	after := readFile(t, program)
	if len(after) != len(before) {
		t.Errorf("%d bytes became %d", len(before), len(after))
	}
	if bytes.Contains(after, []byte("panics/main.go")) || !bytes.Contains(before, []byte("panics/main.go")) {
		t.Error("the name of the file is still there, or never was")
	}
	// With the records' fields left as they were it is 1.5 % more.
	limit := map[string]int{"amd64": 84, "arm64": 85}[runtime.GOARCH]
	if a, b := packed(t, after), packed(t, before); a > b*limit/100 {
		t.Errorf("packed, %d bytes became %d only", b, a)
	}
	if err := dropLines(after); err != nil || !bytes.Equal(after, readFile(t, program)) {
		t.Errorf("a second time: %v, or something changed", err)
	}
}

func TestOtherMachine(t *testing.T) {
	for _, machine := range []string{"amd64", "arm64"} {
		if err := dropFrom(build(t, machine)); err != nil {
			t.Errorf("%s: %v", machine, err)
		}
	}
}

// TestNothingIsChangedWhenRefused damages a program in places that would lead elsewhere.
func TestNothingIsChangedWhenRefused(t *testing.T) {
	program := readFile(t, build(t, "amd64"))
	start := bytes.Index(program, []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8})
	if start < 0 {
		t.Fatal("no table of functions")
	}
	word := func(i int) int { return start + 8 + 8*i }
	list := start + int(program[word(7)]) + int(program[word(7)+1])<<8 + int(program[word(7)+2])<<16
	for _, test := range []struct {
		name string
		at   int
		want string
	}{
		{"kind", start, "kind 0x"},
		{"number of functions", word(0) + 4, "do not fit in"},
		{"order of the parts", word(5) + 2, "not in the known order"},
		{"address in the list", list + 8, "for another address"},
		{"place of a record", list + 7, "truncated"},
	} {
		damaged := bytes.Clone(program)
		damaged[test.at] ^= 0xff
		again := bytes.Clone(damaged)
		if err := dropLines(again); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if !bytes.Equal(again, damaged) {
			t.Errorf("%s: refused, but changed", test.name)
		}
	}
	if err := dropLines(bytes.ReplaceAll(program, []byte("go1.26."), []byte("go1.99."))); err == nil || !strings.Contains(err.Error(), "made by go1.99.") {
		t.Errorf("another Go: %v", err)
	}
	if err := dropLines([]byte("#!/bin/sh\n")); err == nil {
		t.Error("a script passed")
	}
}

func FuzzFunctionTable(f *testing.F) {
	f.Add([]byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8})
	// One function at address 0 whose tables of frames, files and lines are {2,1,0}, {4,1,0} and {6,1,0}.
	section := make([]byte, 8+8*headerWords)
	copy(section, []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8})
	for i, value := range []byte{1, 1, 0, 72, 74, 78, 80, 90} {
		section[8+8*i] = value
	}
	section = append(section, 'f', 0, 0, 0, 0, 0, 'a', 0, 0, 2, 1, 0, 4, 1, 0, 6, 1, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
	record := make([]byte, recordSize)
	record[fieldFrame], record[fieldFile], record[fieldLine], record[fieldStartLine] = 1, 4, 7, 9
	f.Add(append(section, record...))
	f.Fuzz(func(t *testing.T, section []byte) {
		before := bytes.Clone(section)
		table, err := parseFunctionTable(section)
		if err == nil {
			err = table.drop()
		}
		if err != nil && !bytes.Equal(section, before) {
			t.Error("refused, but changed")
		}
	})
}

// build makes the program in testdata for a machine and gives its path.
func build(t *testing.T, machine string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "panics")
	command := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./testdata/panics")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+machine, "GOFLAGS=")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, output)
	}
	return program
}

// run gives what the program printed and its trace; it must end in its panic.
func run(t *testing.T, program string) (stdout, trace string) {
	t.Helper()
	arguments := []string{program}
	if emulator := os.Getenv("PREROOT_EMULATOR"); emulator != "" && runtime.GOARCH == "arm64" {
		arguments = []string{emulator, program}
	}
	command := exec.Command(arguments[0], arguments[1:]...)
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	err := command.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != 2 {
		t.Fatalf("run: %v: %s", err, complaints.String())
	}
	return out.String(), complaints.String()
}

func packed(t *testing.T, content []byte) int {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
