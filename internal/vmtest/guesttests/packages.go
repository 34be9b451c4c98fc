// Package guesttests runs the guest tests of all packages of the project, on
// every kernel that it is tested with:
//
//	PREROOT_TESTBED=DIR go test -tags vm -v ./internal/vmtest/guesttests
//
// Choose with PREROOT_GUEST_PACKAGE=internal/devmapper and then, with commas between them,
// PREROOT_GUEST_TESTS=TestA,TestB; or what is shown with
// -run 'TestGuests/forky/internal/devmapper/TestName'; the others
// are still run in the guest then, since one boot serves all.
package guesttests

import (
	"os"
	"path/filepath"
	"time"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest"
)

// packages lists every package with guest tests, with the modules they need. Programs and other files
// of the testbed's tools tree are named by their path in that tree.
var packages = []struct {
	path     string
	modules  []string
	programs []string
	files    []string
	limit    time.Duration
}{
	{
		path:     "internal/vmtest/selftest",
		modules:  []string{"dm-verity", "overlay"},
		programs: []string{"/usr/sbin/veritysetup"},
	},
	{
		path:     "internal/devmapper",
		modules:  []string{"dm-verity", "loop"},
		programs: []string{"/usr/sbin/veritysetup", "/usr/sbin/dmsetup"},
	},
	{
		path:    "internal/bootlog",
		modules: []string{},
	},
	{
		path:    "internal/kernellog",
		modules: []string{"overlay"},
	},
	{
		path:    "internal/rootdir",
		modules: []string{},
	},
	{
		path:    "internal/mountapi",
		modules: []string{"overlay", "loop"},
	},
	{
		path:    "internal/uevent",
		modules: []string{"loop"},
	},
	{
		path:    "internal/blockdev",
		modules: []string{"loop"},
	},
	{
		path:     "internal/loopdev",
		modules:  []string{"loop", "erofs"},
		programs: []string{"/usr/sbin/losetup", "/usr/bin/mkfs.erofs", "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1"},
	},
	{
		path:    "internal/kernelmodules",
		modules: []string{"dm-verity", "erofs"},
	},
	{
		path:    "internal/keyring",
		modules: []string{"dm-verity"},
	},
	{
		path:    "internal/trust",
		modules: []string{},
	},
	{
		path:    "internal/extension",
		modules: []string{},
	},
	{
		path:    "internal/observe",
		modules: []string{"loop"},
	},
	{
		path:    "internal/apply",
		modules: []string{"loop", "dm-verity", "overlay", "erofs", "squashfs", "ext4"},
		programs: []string{
			"/usr/bin/mkfs.erofs", "/usr/bin/mksquashfs", "/usr/sbin/mkfs.ext4", "/usr/sbin/veritysetup",
			// The judges, with the libraries that they open at run time.
			"/usr/bin/systemd-confext", "/usr/bin/systemd-sysext",
			"/usr/lib/x86_64-linux-gnu/libblkid.so.1", "/usr/lib/x86_64-linux-gnu/libmount.so.1",
			"/usr/lib/x86_64-linux-gnu/libcryptsetup.so.12", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
			"/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
		},
	},
	{
		path:    "internal/netlink",
		modules: []string{},
	},
	{
		path:    "applets/rescue/toolbox",
		modules: []string{"loop", "ext4", "erofs"},
		programs: []string{
			"/usr/sbin/losetup", "/usr/sbin/mkfs.ext4",
			// The judges.
			"/usr/sbin/blkid", "/usr/bin/lsblk", "/usr/bin/findmnt", "/usr/bin/dmesg", "/usr/bin/lsmod",
		},
	},
	{
		path:    "internal/etcrules",
		modules: []string{"overlay"},
	},
	{path: "internal/sysextselection"},
	{
		path:    "applets/boot",
		limit:   longLimit(), // a hundred boots
		modules: []string{"loop", "dm-verity", "overlay", "erofs", "squashfs", "ext4", "btrfs", "xfs", "vfat", "nls_cp437", "nls_ascii"},
		programs: []string{
			"/usr/bin/mkfs.erofs", "/usr/bin/mksquashfs", "/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.btrfs", "/usr/sbin/mkfs.xfs", "/usr/sbin/mkfs.vfat",
			"/usr/bin/openssl", "/usr/bin/cp",
			"/usr/bin/systemd-confext", "/usr/bin/systemd-sysext",
			"/usr/lib/x86_64-linux-gnu/libblkid.so.1", "/usr/lib/x86_64-linux-gnu/libmount.so.1",
			"/usr/lib/x86_64-linux-gnu/libcryptsetup.so.12", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
			"/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
		},
	},
	{
		path: "applets/merge",
		// Some hundred kernel calls fail, or are the last one.
		limit:   longLimit(),
		modules: []string{"loop", "dm-verity", "overlay", "erofs", "squashfs", "ext4", "btrfs"},
		programs: []string{
			"/usr/bin/mkfs.erofs", "/usr/bin/mksquashfs", "/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.btrfs", "/usr/sbin/dmsetup", "/usr/sbin/losetup", "/usr/bin/openssl",
			"/usr/bin/systemd-confext", "/usr/bin/systemd-sysext", "/usr/lib/x86_64-linux-gnu/libblkid.so.1", "/usr/lib/x86_64-linux-gnu/libmount.so.1",
			"/usr/lib/x86_64-linux-gnu/libcryptsetup.so.12", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
			"/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
		},
	},
	{
		path:    "applets/switchroot",
		modules: []string{},
	},
	{
		path:    "internal/bootrefresh",
		modules: []string{},
	},
	{
		path:    "applets/bootrefresh",
		modules: []string{},
		// In the way of its own, as in a guest with other packages.
		programs: []string{"/usr/bin/systemd-confext", "/usr/bin/systemd-sysext"},
	},
	{
		path:    "applets/verity",
		modules: []string{"loop", "dm-verity", "erofs"},
		programs: []string{
			"/usr/sbin/veritysetup", "/usr/sbin/dmsetup", "/usr/bin/mkfs.erofs", "/usr/bin/openssl", "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
			// udev, with the library that it opens at run time.
			"/usr/lib/systemd/systemd-udevd", "/usr/bin/udevadm", "/usr/lib/x86_64-linux-gnu/libblkid.so.1",
		},
		files: []string{
			"/usr/lib/udev/rules.d/55-dm.rules", "/usr/lib/udev/rules.d/60-block.rules",
			"/usr/lib/udev/rules.d/60-persistent-storage-dm.rules", "/usr/lib/udev/rules.d/95-dm-notify.rules",
			"/usr/lib/udev/rules.d/99-systemd.rules",
		},
	},
}

// longLimit is for tests of which a sample is taken: all of it takes longer.
func longLimit() time.Duration {
	if os.Getenv(vmtest.LongVariable) != "" {
		return time.Hour
	}
	return 20 * time.Minute
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
		for _, file := range p.files {
			includes = append(includes, initramfs.Include{Source: filepath.Join(tools, file), Destination: file})
		}
		list = append(list, vmtest.GuestPackage{Path: p.path, Modules: p.modules, Includes: includes, Limit: p.limit})
	}
	return list, nil
}
