//go:build !sealed

package main

import "testing"

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
