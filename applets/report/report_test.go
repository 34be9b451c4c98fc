package report

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/bootreport"
)

// run calls the applet and returns what it printed.
func run(t *testing.T, arguments ...string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	files := [2]*os.File{}
	for i, name := range []string{"stdout", "stderr"} {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files[i] = file
	}
	oldOut, oldErr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = files[0], files[1]
	status = Main(append([]string{"report"}, arguments...))
	os.Stdout, os.Stderr = oldOut, oldErr
	var texts [2]string
	for i, file := range files {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return status, texts[0], texts[1]
}

func TestAReportIsPrinted(t *testing.T) {
	r := bootreport.New("7.2.12", "quiet", "sealed")
	r.Root = &bootreport.Root{Device: "/dev/vda3", FileSystem: "ext4"}
	file := filepath.Join(t.TempDir(), "report.json")
	if err := r.Write(file); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := run(t, file)
	if status != 0 || stdout != r.Text() || stderr != "" {
		t.Errorf("%d, %q, %q", status, stdout, stderr)
	}
}

// TestTheRecordIsPrintedAsItIs, but only if it can be read.
func TestTheRecordIsPrintedAsItIs(t *testing.T) {
	want, err := os.ReadFile(realRecord)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"--json", realRecord}, {realRecord, "--json"}} {
		if status, stdout, stderr := run(t, words...); status != 0 || stdout != string(want) || stderr != "" {
			t.Errorf("%q: %d, %q, %q", words, status, stdout, stderr)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, want[:len(want)-4], 0o600); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := run(t, "--json", broken); status != 1 || stdout != "" || !strings.HasPrefix(stderr, "report: read report: ") {
		t.Errorf("%d, %q, %q", status, stdout, stderr)
	}
}

func TestUsage(t *testing.T) {
	for _, word := range []string{"--help", "-h"} {
		if status, stdout, stderr := run(t, word); status != 0 || stdout != usage || stderr != "" {
			t.Errorf("%s: %d, %q, %q", word, status, stdout, stderr)
		}
	}
	for _, words := range [][]string{{"--nonsense"}, {"-"}, {""}, {"a", "b"}, {"--help", "x"}, {"--plot"}, {"--plot="}, {"--plot", ""}, {"--json", "--plot=x"}, {"--json=x"}, {"a", "--json", "b"}} {
		if status, stdout, stderr := run(t, words...); status != 1 || stdout != "" || stderr != usage {
			t.Errorf("%q: %d, %q, %q", words, status, stdout, stderr)
		}
	}
	for line := range strings.Lines(usage) {
		if len(line) > 81 {
			t.Errorf("too long: %s", line)
		}
	}
}

func TestUnreadableReports(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "", "later": `{"version":9}`, "list": "[]"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"nowhere": "no such file", "empty": "read report: ", "later": "version 9 is unknown", "list": "read report: ", "": "is a directory",
	} {
		status, stdout, stderr := run(t, filepath.Join(dir, name))
		if status != 1 || stdout != "" || !strings.HasPrefix(stderr, "report: ") || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d, %q, %q", name, status, stdout, stderr)
		}
	}
	// Without an end.
	if status, stdout, stderr := run(t, "/dev/zero"); status != 1 || stdout != "" || !strings.Contains(stderr, "larger than") {
		t.Errorf("%d, %q, %q", status, stdout, stderr)
	}
}

func TestNowhereToPrint(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	reader, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	oldOut, oldErr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = full, stderr
	status := Main([]string{"report", "--help"})
	os.Stdout, os.Stderr = oldOut, oldErr
	stderr.Close()
	text, err := io.ReadAll(reader)
	if status != 1 || err != nil || !strings.Contains(string(text), "no space left") {
		t.Errorf("%d, %q, %v", status, text, err)
	}
}
