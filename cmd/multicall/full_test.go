//go:build !sealed

package main

import (
	"os"
	"testing"
)

// TestTheAppletIsPicked tells applets by what they say. The boot refuses to run
// as anything but PID 1, which this process is not, whatever it tells run.
func TestTheAppletIsPicked(t *testing.T) {
	if os.Getpid() == 1 {
		t.Fatal("this would boot")
	}
	const (
		reportUsage = "usage: report"
		bootRefusal = "preroot: boot is for PID 1"
	)
	for _, test := range []struct {
		pid            int
		arguments      []string
		status         int
		stdout, stderr string // how they begin; empty means nothing
	}{
		{2, []string{"/usr/bin/report", "--help"}, 0, reportUsage, ""},
		{2, []string{"report", "-x"}, 1, "", reportUsage},
		{2, []string{"preroot", "report", "--help"}, 0, reportUsage, ""},
		{2, []string{"/odd name", "report", "--help"}, 0, reportUsage, ""},
		// An applet's own name counts even as PID 1.
		{1, []string{"/bin/report", "--help"}, 0, reportUsage, ""},
		{1, []string{"/init"}, 1, "", bootRefusal},
		{1, []string{"init", "splash", "report"}, 1, "", bootRefusal},
		{1, []string{"/bin/preroot", "report", "--help"}, 1, "", bootRefusal},
		{1, []string{""}, 1, "", bootRefusal},
		{1, nil, 1, "", bootRefusal},
		{2, nil, 1, "", "preroot: call it"},
		{2, []string{"preroot"}, 1, "", "preroot: call it"},
		{2, []string{"/init"}, 1, "", "preroot: call it"},
		{2, []string{"preroot", "--help"}, 0, "call it", ""},
		{2, []string{"preroot", "nonsense"}, 1, "", `preroot: unknown applet "nonsense"`},
		{2, []string{"preroot", "\x1b[2J"}, 1, "", `preroot: unknown applet "\x1b[2J"`},
		{2, []string{"preroot", "/usr/bin/report"}, 1, "", "preroot: unknown applet"},
		{2, []string{"preroot", ""}, 1, "", "preroot: unknown applet"},
	} {
		status, stdout, stderr := call(t, test.pid, test.arguments...)
		if status != test.status || !begins(stdout, test.stdout) || !begins(stderr, test.stderr) {
			t.Errorf("%d, %q: %d, %q, %q", test.pid, test.arguments, status, stdout, stderr)
		}
	}
}

func TestTheShellIsAnApplet(t *testing.T) {
	for _, arguments := range [][]string{{"/bin/sh", "--help"}, {"preroot", "sh", "--help"}} {
		if status, stdout, stderr := call(t, 2, arguments...); status != 0 || !begins(stdout, "usage: sh") || stderr != "" {
			t.Errorf("%q: %d, %q, %q", arguments, status, stdout, stderr)
		}
	}
	if program.Profile != "full" || program.Shell == nil {
		t.Errorf("%+v", program)
	}
}
