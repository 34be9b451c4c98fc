//go:build vm

package scenario

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestFullKernel boots Debian's kernel for real machines with the drivers of the portable set, from buses that a cloud kernel has no driver for:
// the data of /usr hang on a Fusion adapter, their hash tree is an SD card (the driver of eMMC), the root is a USB disk, /var hangs on VMware's adapter.
// With the Fusion adapter comes a driver that loads firmware: of those that QEMU has a device for, none does.
func TestFullKernel(t *testing.T) {
	t.Parallel()
	b, kernel := openKernel(t, "forky-full")
	kernel.Tree = addFirmware(t, kernel, "softdep mptsas pre: cfg80211\n", "regulatory.db", "regulatory.db.p7s")
	s := buildSmallRoot(t, b, "amd64", true)
	run, err := vmtest.Boot(t.Context(), vmtest.Config{
		Kernel: kernel.Image, Initrd: packImage(t, kernel, "--hardware", "generic"),
		Append: "console=ttyS0 panic=-1 rw root=PARTUUID=" + smallRootID + " usrhash=" + s.hash,
		Disks: []vmtest.Disk{
			{Path: writeDisk(t, s.usr), Bus: vmtest.Fusion, Snapshot: true}, {Path: writeDisk(t, s.usrVerity), Bus: vmtest.SD, Snapshot: true},
			{Path: writeDisk(t, s.root), Bus: vmtest.UAS, Snapshot: true}, {Path: writeDisk(t, s.more), Bus: vmtest.PVSCSI, Snapshot: true},
		},
		Timeout: 300 * time.Second, Reached: initReached,
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSmallRoot(t, run, s, []string{
		`pid 1 on ` + regexp.QuoteMeta(kernel.Release) + ` x86_64 as \["/sbin/init"\]`,
		`mount / rw\S* ext4 /dev/sd[abc]1 .*`,
		`partition sd[abc]1 is driven by sd mptsas.*`, `partition sd[abc]1 is driven by sd uas usb .*xhci_hcd.*`,
		`partition sd[abc]1 is driven by sd vmw_pvscsi.*`, `partition mmcblk0p1 is driven by mmcblk sdhci-pci.*`,
	})
	// The kernel read it in the initramfs, and found it to be no database.
	if _, found := run.Find("cfg80211: loaded regulatory.db is malformed or signature is missing/invalid"); !found {
		t.Error("the driver did not get its firmware")
	}
}

// addFirmware makes a tree of a kernel with one more soft dependency, and files in lib/firmware that are no firmware.
func addFirmware(t *testing.T, kernel vmtest.Kernel, softDependency string, firmware ...string) string {
	t.Helper()
	tree := t.TempDir()
	own, original := filepath.Join(tree, "lib/modules", kernel.Release), filepath.Join(kernel.Tree, "lib/modules", kernel.Release)
	makeDirectory(t, own)
	makeDirectory(t, filepath.Join(tree, "lib/firmware"))
	for _, name := range firmware {
		if err := os.WriteFile(filepath.Join(tree, "lib/firmware", name), []byte("no firmware\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(original)
	if err != nil {
		t.Fatal(err)
	}
	const soft = "modules.softdep"
	for _, entry := range entries {
		if entry.Name() == soft {
			continue
		}
		if err := os.Symlink(filepath.Join(original, entry.Name()), filepath.Join(own, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	text := append(readWhole(t, filepath.Join(original, soft)), softDependency...)
	if err := os.WriteFile(filepath.Join(own, soft), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return tree
}
