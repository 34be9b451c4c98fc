//go:build vm

package guesttests

import (
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

func TestGuests(t *testing.T) {
	testbed, err := vmtest.OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	tools, err := testbed.File("tools-forky", "scripts/testbed/make-tools")
	if err != nil {
		t.Fatal(err)
	}
	list, err := Packages(tools)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := vmtest.BuildGuestTests(t.Context(), t.TempDir(), list)
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range []string{vmtest.Forky, vmtest.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			tests.Run(t, suite)
		})
	}
}
