//go:build vm

package scenario

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestCorruptionEndsTheMachine opens damaged devices with the applet's options
// that make the kernel give up, on both kernels, a machine each.
func TestCorruptionEndsTheMachine(t *testing.T) {
	testbed, err := vmtest.OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	tools, err := testbed.File("tools-forky", "scripts/testbed/make-tools")
	if err != nil {
		t.Fatal(err)
	}
	programs, err := vmtest.IncludePrograms(tools, "/usr/sbin/dmsetup", "/usr/sbin/losetup")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"TestPanicOnCorruption":   "Kernel panic - not syncing: dm-verity device corrupted",
		"TestRestartOnCorruption": "Restarting system with command 'dm-verity device corrupted'",
		"TestPanicOnError":        "Kernel panic - not syncing: dm-verity device has I/O error",
		"TestRestartOnError":      "Restarting system with command 'dm-verity device has I/O error'",
	} {
		tests, err := vmtest.BuildGuestTests(t.Context(), t.TempDir(), []vmtest.GuestPackage{{
			Path: "internal/vmtest/scenario/testdata/corruption", Only: []string{name},
			Modules: []string{"loop", "dm-verity"}, Includes: programs,
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, suite := range []string{vmtest.Forky, vmtest.Trixie} {
			t.Run(name+"/"+suite, func(t *testing.T) {
				t.Parallel()
				kernel, err := testbed.Kernel(suite)
				if err != nil {
					t.Fatal(err)
				}
				result, err := tests.Boot(t.Context(), kernel)
				if err != nil {
					t.Fatal(err)
				}
				console := result.Run.Console
				opened := strings.Contains(console, "opened, and a good block was read")
				if !opened || !strings.Contains(console, want) || result.Run.End != vmtest.EndedByGuest {
					t.Errorf("opened %v, %s; want the console to end with %q:\n%s", opened, result.Run.End, want, result.Run.Tail(40))
				}
			})
		}
	}
}
