//go:build vm

package guesttests

import (
	"os"
	"slices"
	"strings"
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
	// For work on one package; scripts/test runs all.
	if only := os.Getenv("PREROOT_GUEST_PACKAGE"); only != "" {
		list = slices.DeleteFunc(list, func(p vmtest.GuestPackage) bool { return p.Path != only })
		if len(list) == 0 {
			t.Fatalf("there are no guest tests of %s", only)
		}
		if names := os.Getenv("PREROOT_GUEST_TESTS"); names != "" && len(list) == 1 {
			list[0].Only = strings.Split(names, ",")
		}
		t.Logf("only the tests of %s", only)
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
