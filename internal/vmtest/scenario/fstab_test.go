//go:build vm

package scenario

import (
	"fmt"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestMountsBelowHierarchies (E32, S8): an fstab has mounts below /etc and /opt for the initrd, both of which are merged afterwards.
func TestMountsBelowHierarchies(t *testing.T) {
	t.Parallel()
	m := prepare(t, vmtest.Forky)
	disk := copyOfDisk(t, m.Testbed, "root.raw")
	files := writeTree(t, map[string]string{
		"fstab":   "kept /etc/kept tmpfs x-initrd.mount,mode=0750 0 0\nkept /opt/kept tmpfs x-initrd.mount,mode=0711 0 0\n",
		"release": "ID=_any\n", "file": "extension\n",
	})
	const sysext = "/var/lib/extensions/opty"
	editRoot(t, m.Testbed, disk, "write "+files+"/fstab /etc/fstab",
		"mkdir "+sysext, "mkdir "+sysext+"/opt", "mkdir "+sysext+"/usr", "mkdir "+sysext+"/usr/lib", "mkdir "+sysext+"/usr/lib/extension-release.d",
		fmt.Sprintf("write %s/release %s/usr/lib/extension-release.d/extension-release.opty", files, sysext),
		fmt.Sprintf("write %s/file %s/opt/opty", files, sysext))
	said := askShell(t, m, []vmtest.Disk{{Path: disk, Snapshot: true}},
		"look() { say $(cat /opt/opty /etc/testbed-user) $(stat -c %a /etc/kept /opt/kept) $(cat /etc/kept/f) $(grep -cE ' /(etc|opt)/kept tmpfs' /proc/mounts); }; "+
			"look; echo mine >/etc/kept/f; say $(systemd-sysext refresh 2>&1); say $(systemd-confext refresh 2>&1); look")
	const skipped = ".*Skipping extension refresh because no change was found.*"
	wantSaid(t, said, []string{"extension .+ 750 711 2", skipped, skipped, "extension .+ 750 711 mine 2"})
}
