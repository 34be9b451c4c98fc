//go:build vm

package scenario

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/vmtest"
)

const rescuePrompt = "preroot rescue:/# "

// TestRescue boots one machine with three things wrong - a damaged block of /usr, a root device that is not there, a confext that hides the
// one that the image requires - and mends them on the serial line as a person would: by error correction, by a word, and with
// rm; each time the boot is resumed. Before that the keys of the line editor are tried.
func TestRescue(t *testing.T) {
	t.Parallel()
	m, err := PrepareWith(vmtest.Forky, t.TempDir(), "[Failure]\nAction=shell\n")
	if err != nil {
		t.Fatal(err)
	}
	line, err := m.Testbed.Value("CMDLINE")
	if err != nil {
		t.Fatal(err)
	}
	hash, err := m.Testbed.Value("USRHASH")
	if err != nil {
		t.Fatal(err)
	}
	source, err := m.Testbed.File("disk.raw", "scripts/guest")
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(t.TempDir(), "disk.raw")
	if err := vmtest.CopyDisk(disk, source); err != nil {
		t.Fatal(err)
	}
	parity := makeParity(t, m.Testbed, disk, hash)
	flipBit("USR_OFFSET", 1030)(t, m.Testbed, disk)

	const hidden = "/sysroot/var/lib/confexts/00-default.raw"
	dialog := []vmtest.Exchange{
		// Ctrl-W takes the last word, Home leads to the beginning, also on a terminal that sends it in another way.
		{Wait: rescuePrompt, Send: "ho answer $((6*7)) junk\x17\x1b[1~c\x1b[D\x1bOHe\r"},
		{Wait: "\nanswer 42", Send: ""},
		// The cursor recalls the line, Ctrl-E and Ctrl-A lead to its ends.
		{Wait: rescuePrompt, Send: "\x1b[A\x05 behind\x01echo before; \r"},
		{Wait: "\nbefore\r\nanswer 42 behind", Send: ""},
		{Wait: rescuePrompt, Send: "echo lost\x15cd /sys/cl\tblo\t\r"},
		{Wait: "preroot rescue:/sys/class/block# ", Send: "rep\t | while read l; do echo \"[$l]\"; done\r"},
		{Wait: "[preroot (full) on Linux ", Send: ""},
		{Wait: "preroot rescue:/sys/class/block# ", Send: "cd /; echo begun; while true; do :; done\r"},
		{Wait: "\nbegun\r\n", Send: "\x03"},
		{Wait: rescuePrompt, Send: "sleepless\x03"},
		{Wait: rescuePrompt, Send: "help\r"},
		{Wait: "repair verity", Send: ""},
		{Wait: rescuePrompt, Send: "why\r"},
		{Wait: "\nStep:       open /usr", Send: ""},
		{Wait: rescuePrompt, Send: "verity verify --fec-device=/dev/vdb --repair /dev/vda1 /dev/vda2 " + hash + "; echo code $?\r"},
		{Wait: "\ncode 0", Send: ""},
		{Wait: rescuePrompt, Send: "resume\r"},
		// /usr is right now, and the root is not there.
		{Wait: "PR-DEV-MISSING", Send: ""},
		{Wait: rescuePrompt, Send: "resume init=relative\r"},
		{Wait: "resume init=relative: init=relative is not an absolute path", Send: ""},
		{Wait: rescuePrompt, Send: "resume root=/dev/vda4\r"},
		// Here somebody puts the bad confext there, on the root that was found.
		{Wait: "breakpoint pre-merge", Send: ""},
		{Wait: rescuePrompt, Send: "echo bad >" + hidden + "; exit\r"},
		{Wait: "PR-EXT-REQUIRED", Send: ""},
		{Wait: rescuePrompt, Send: "resume root=/dev/vda3\r"},
		{Wait: "the root is open or mounted already", Send: ""},
		{Wait: rescuePrompt, Send: "why | while read l; do case $l in *" + hidden[len("/sysroot"):] + "*) echo found it;; esac; done\r"},
		{Wait: "\nfound it", Send: ""},
		{Wait: rescuePrompt, Send: "rm " + hidden[:len(hidden)-len("ault.raw")] + "\t; resume\r"},
	}
	const show = `init=/usr/bin/bash -- -c "cat /run/preroot/report.json; echo b >/proc/sysrq-trigger"`
	run, err := m.Boot(t.Context(), Start{
		Disk: disk, MoreDisks: []string{parity}, CommandLine: replaceRoot(t, line), Dialog: dialog, Timeout: 600 * time.Second,
		Append: "rd.timeout=5 rd.break=pre-merge panic=0 " + show,
	})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	for _, never := range []string{"\nlost", "sleepless: not found", "somebody used a shell\npreroot: boot failed: preroot has a bug", "Kernel panic"} {
		if strings.Contains(run.Console, never) {
			t.Errorf("the console has %q", never)
		}
	}
	checkResumed(t, run)
	if t.Failed() {
		t.Logf("%s", run.Tail(200))
	}
}

// makeParity makes error correction for the /usr of a disk, with the program under test: it makes the same tree once more, with the same
// root hash.
func makeParity(t *testing.T, b *vmtest.Testbed, disk, hash string) (parity string) {
	t.Helper()
	dir := t.TempDir()
	data, tree, again := filepath.Join(dir, "data"), filepath.Join(dir, "tree"), filepath.Join(dir, "again")
	for file, name := range map[string]string{data: "USR", tree: "USR_VERITY"} {
		offset, err := b.Offset(name + "_OFFSET")
		if err != nil {
			t.Fatal(err)
		}
		size, err := b.Offset(name + "_SIZE")
		if err != nil {
			t.Fatal(err)
		}
		cutOut(t, file, disk, offset, size)
	}
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	verity := func(arguments ...string) string {
		output, err := exec.CommandContext(t.Context(), filepath.Join(repository, "bin/preroot"), append([]string{"verity"}, arguments...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("verity %q: %v\n%s", arguments, err, output)
		}
		return string(output)
	}
	dump := verity("dump", tree)
	field := func(name string) string {
		found := regexp.MustCompile(`(?m)^` + name + `:\s+(\S+)`).FindStringSubmatch(dump)
		if found == nil {
			t.Fatalf("no %s in\n%s", name, dump)
		}
		return found[1]
	}
	parity = filepath.Join(dir, "parity")
	made := verity("format", "--uuid="+field("UUID"), "--salt="+field("Salt"), "--fec-device="+parity, data, again)
	if !strings.Contains(made, hash) {
		t.Fatalf("another root hash than %s:\n%s", hash, made)
	}
	return parity
}

// cutOut copies a part of a file.
func cutOut(t *testing.T, file, from string, offset, size int64) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := io.Copy(target, io.NewSectionReader(source, offset, size)); err != nil {
		t.Fatal(err)
	}
}

// checkResumed looks at the record that the real root's init printed.
func checkResumed(t *testing.T, run *vmtest.Run) {
	t.Helper()
	at := strings.LastIndex(run.Console, "\n{\n  \"version\"")
	if at < 0 {
		t.Error("the real root's init printed no record")
		return
	}
	var report bootreport.Report
	if err := json.NewDecoder(strings.NewReader(run.Console[at:])).Decode(&report); err != nil {
		t.Fatal(err)
	}
	var resumed []string
	for _, r := range report.Resumed {
		resumed = append(resumed, r.Step+"|"+r.FailureCode+"|"+r.Words)
	}
	want := []string{"open /usr|PR-USR-DAMAGED|", "find devices|PR-DEV-MISSING|root=/dev/vda4", "merge extensions|PR-EXT-REQUIRED|"}
	if !slices.Equal(resumed, want) || !report.Shell || report.Failure != "" || report.FailureCode != "" {
		t.Errorf("resumed %q, want %q; shell %v, failure %q", resumed, want, report.Shell, report.Failure)
	}
	count := map[string]int{}
	for _, step := range report.Steps {
		count[step.Name]++
	}
	// Twice with the wrong root, since it was asked for before /usr was right.
	for step, times := range map[string]int{"open /usr": 2, "find devices": 3, "mount root and /usr": 1, "merge extensions": 2, "hand over": 1} {
		if count[step] != times {
			t.Errorf("the step %q ran %d times, want %d", step, count[step], times)
		}
	}
	if report.Root == nil || report.Root.Device != "/dev/vda4" {
		t.Errorf("root: %+v", report.Root)
	}
	for _, merge := range report.Merges {
		for _, d := range merge.Decisions {
			if d.Name == "00-default" && (!d.Accepted || !strings.HasPrefix(d.Path, "/usr/lib/confexts/")) {
				t.Errorf("%+v", d)
			}
		}
	}
	if len(report.Merges) != 2 {
		t.Errorf("%d merges", len(report.Merges))
	}
}
