// Package guesttests runs the guest tests of all packages of the project, on
// every kernel that it is tested with:
//
//	PREROOT_TESTBED=DIR go test -tags vm -v ./internal/vmtest/guesttests
//
// Choose with -run 'TestGuests/forky/internal/devmapper/TestName'; the others
// are still run in the guest, since one boot serves all.
package guesttests

import (
	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest"
)

// packages lists every package with guest tests, with the modules they need. A
// program of the testbed's tools tree is named by its path in that tree.
var packages = []struct {
	path     string
	modules  []string
	programs []string
}{
	{
		path:     "internal/vmtest/selftest",
		modules:  []string{"dm-verity", "overlay"},
		programs: []string{"/usr/sbin/veritysetup"},
	},
}

// Packages resolves the table against a tree of tools.
func Packages(tools string) ([]vmtest.GuestPackage, error) {
	var list []vmtest.GuestPackage
	for _, p := range packages {
		var includes []initramfs.Include
		if len(p.programs) > 0 {
			var err error
			if includes, err = vmtest.IncludePrograms(tools, p.programs...); err != nil {
				return nil, err
			}
		}
		list = append(list, vmtest.GuestPackage{Path: p.path, Modules: p.modules, Includes: includes})
	}
	return list, nil
}
