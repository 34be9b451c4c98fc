//go:build sealed

package main

import (
	"os"
	"testing"
)

// TestThereAreNoCommands: a link of any name leads to the boot as PID 1, and to one sentence else.
func TestThereAreNoCommands(t *testing.T) {
	if os.Getpid() == 1 {
		t.Fatal("this would boot")
	}
	const sentence = "preroot: this program has the profile sealed: it boots, and has no commands"
	for _, arguments := range [][]string{
		nil, {"preroot"}, {"/init"}, {"preroot", "sh"}, {"preroot", "report", "--help"}, {"/bin/report"}, {"/usr/sbin/veritysetup", "--version"},
		{"switch_root", "/sysroot", "/sbin/init"}, {"systemd-confext", "refresh"}, {"preroot", "nonsense"}, {"preroot", "\x1b[2J"}, {""},
	} {
		if status, stdout, stderr := call(t, 2, arguments...); status != 1 || stdout != "" || !begins(stderr, sentence) {
			t.Errorf("%q: %d, %q, %q", arguments, status, stdout, stderr)
		}
		if status, stdout, stderr := call(t, 1, arguments...); status != 1 || stdout != "" || !begins(stderr, "preroot: boot is for PID 1") {
			t.Errorf("%q as PID 1: %d, %q, %q", arguments, status, stdout, stderr)
		}
	}
	if status, stdout, stderr := call(t, 2, "preroot", "--help"); status != 0 || !begins(stdout, sentence[len("preroot: "):]) || stderr != "" {
		t.Errorf("--help: %d, %q, %q", status, stdout, stderr)
	}
	if program.Profile != "sealed" || program.Shell != nil {
		t.Errorf("%+v", program)
	}
}
