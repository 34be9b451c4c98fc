//go:build guest

package merge

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// helperVariable names the part that the test program plays in a process of its own.
const helperVariable = "PREROOT_TEST_HELPER"

// helpers are those parts. They play until their standard input ends.
var helpers = map[string]func(arguments []string){"read": readAllTheTime, "spoil": spoilAllTheTime, "merge": mergeOnce}

// helper is a part that plays.
type helper struct {
	t       *testing.T
	command *exec.Cmd
	input   io.Closer
	output  strings.Builder
}

func startHelper(t *testing.T, name string, arguments ...string) *helper {
	t.Helper()
	h := &helper{t: t, command: exec.Command("/proc/self/exe", arguments...)}
	h.command.Env = append(os.Environ(), helperVariable+"="+name)
	h.command.Stdout, h.command.Stderr = &h.output, os.Stderr
	var err error
	if h.input, err = h.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := h.command.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

// end returns what the helper printed.
func (h *helper) end() string {
	h.t.Helper()
	h.input.Close()
	if err := h.command.Wait(); err != nil {
		h.t.Fatal(err)
	}
	return h.output.String()
}

// untilInputEnds tells whether to go on.
func untilInputEnds() func() bool {
	var ended atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
	}()
	return func() bool { return !ended.Load() }
}

// readAllTheTime reads the files of a directory that are named first, and lists the directory, as fast as it can. It counts how often one of them
// was missing, or another name that always has to be there.
func readAllTheTime(arguments []string) {
	directory, names := arguments[0], arguments[1:]
	gaps, reads := 0, 0
	for goOn := untilInputEnds(); goOn(); reads++ {
		missing := false
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(directory, name))
			missing = missing || err != nil || len(text) == 0
		}
		listed, err := os.ReadDir(directory)
		there := map[string]bool{}
		for _, entry := range listed {
			there[entry.Name()] = true
		}
		for _, name := range names {
			missing = missing || err != nil || !there[name]
		}
		if missing {
			gaps++
		}
	}
	fmt.Println(gaps, reads)
}

// spoilAllTheTime does to a file all that may happen to one, and ends with its content in place.
func spoilAllTheTime(arguments []string) {
	name := arguments[0]
	content, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	changes := []func() error{
		func() error { return os.Truncate(name, int64(len(content)/2)) },
		func() error { return os.Truncate(name, 0) },
		func() error { return os.Remove(name) },
		func() error { return os.WriteFile(name, content, 0o644) },
		func() error { return os.WriteFile(name, make([]byte, len(content)), 0o644) },
		func() error { return os.WriteFile(name, content[:len(content)-1], 0o644) },
		func() error { return os.WriteFile(name, content, 0o644) },
	}
	rounds := 0
	for goOn := untilInputEnds(); goOn(); rounds++ {
		for _, change := range changes {
			_ = change()
		}
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		panic(err)
	}
	fmt.Println(rounds)
}

// mergeOnce is the applet as the first process of a namespace of processes.
func mergeOnce(arguments []string) { os.Exit(Main(arguments)) }
