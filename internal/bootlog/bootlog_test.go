package bootlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// records keeps every Write.
type records struct {
	all    []string
	closed bool
	err    error
}

func (r *records) Write(b []byte) (int, error) {
	r.all = append(r.all, string(b))
	return len(b), r.err
}

func (r *records) Close() error {
	r.closed = true
	return nil
}

func TestARecordForEachLine(t *testing.T) {
	out := &records{}
	l := New(out)
	l.Printf(Info, "starting on Linux %s", "7.2")
	l.Printf(Warning, "two\nlines\n")
	l.Printf(Error, "")
	l.Printf(Debug, "%s", "100%s")
	l.Printf(Notice, "\x1b[2Jnot <3>a priority")
	want := []string{
		"<30>preroot: starting on Linux 7.2\n",
		"<28>preroot: two\n", "<28>preroot: lines\n",
		"<27>preroot: \n",
		"<31>preroot: 100%s\n",
		"<29>preroot: ?[2Jnot <3>a priority\n",
	}
	if !slices.Equal(out.all, want) {
		t.Errorf("got  %q\nwant %q", out.all, want)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	out := &records{}
	New(out).Printf(Info, "%s", strings.Repeat("\u00e4", 2000))
	if len(out.all) != 1 || len(out.all[0]) > 901 || len(out.all[0]) < 890 || !strings.HasSuffix(out.all[0], "ä...\n") {
		t.Errorf("%q", out.all)
	}
}

// TestFailFitsTheScreen checks the message block as a console shows it.
func TestFailFitsTheScreen(t *testing.T) {
	const stamp = "[   12.345678] "
	out := &records{}
	New(out).Fail("boot failed: /usr on /dev/vda1: the top hash block does not match the root hash: " +
		"0123456789abcdef0123456789abcdef0123456789abcdef 0123456789abcdef0123456789abcdef0123456789abcdef0123456 " +
		strings.Repeat("word ", 60) + "\nusrhash= belongs to another image, or this one is damaged")
	for _, record := range out.all {
		text, found := strings.CutPrefix(record, "<27>")
		if line := stamp + strings.TrimSuffix(text, "\n"); !found || len(line) > 79 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	last := out.all[len(out.all)-2:]
	if want := []string{"<27>preroot: usrhash= belongs to another image, or this one is\n", "<27>preroot:   damaged\n"}; !slices.Equal(last, want) {
		t.Errorf("the advice: %q", last)
	}
}

func TestTheZeroLoggerDropsEverything(t *testing.T) {
	l := &Logger{}
	l.Printf(Error, "x")
	l.Fail("x")
	l.Close()
	l.Close()
}

func TestClose(t *testing.T) {
	out := &records{}
	l := New(out)
	l.Close()
	l.Printf(Error, "x")
	l.Fail("x")
	l.Close()
	if !out.closed || len(out.all) != 0 {
		t.Errorf("closed %v, %q", out.closed, out.all)
	}
}

func TestErrorsOfTheLogAreNoErrors(t *testing.T) {
	out := &records{err: errors.New("full")}
	New(out).Printf(Error, "one\ntwo")
	if len(out.all) != 2 {
		t.Errorf("%q", out.all)
	}
}

func TestManyWriters(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	l := New(file)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				l.Printf(Info, "%d %d\nand on", i, j)
			}
		})
	}
	all.Wait()
	l.Close()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 800 {
		t.Errorf("%d lines", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		var a, b int
		if _, err := fmt.Sscanf(lines[i], "<30>preroot: %d %d", &a, &b); err != nil || lines[i+1] != "<30>preroot: and on" {
			t.Fatalf("%q, %q: %v", lines[i], lines[i+1], err)
		}
	}
}

func TestIsOpen(t *testing.T) {
	var l Logger
	if l.IsOpen() {
		t.Error("a log that drops everything is open")
	}
	open := New(&records{})
	if !open.IsOpen() {
		t.Error("a log is not open")
	}
	if open.Close(); open.IsOpen() {
		t.Error("a closed log is open")
	}
}
