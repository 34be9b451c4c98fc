//go:build sealed

package main

import "testing"

func TestThereIsNoShell(t *testing.T) {
	if status, _, stderr := call(t, 2, "preroot", "sh"); status != 1 || !begins(stderr, `preroot: unknown applet "sh"`) {
		t.Errorf("%d, %q", status, stderr)
	}
	if program.Profile != "sealed" || program.Shell != nil {
		t.Errorf("%+v", program)
	}
}
