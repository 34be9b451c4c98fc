//go:build vm

package scenario

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// fullKernel is the one of real machines: the cloud kernel has no USB and no SAS.
const fullKernel = vmtest.Forky + "-full"

// hardwareBoot boots from a disk of some kind (H9) whose partitions are named in some way (V8).
type hardwareBoot struct {
	name   string
	bus    vmtest.Bus
	kernel string
	// usr are words about /usr; those with its root hash when nil.
	usr func(t *testing.T, b *vmtest.Testbed) string
	// says is a regular expression for the console.
	says string
}

var hardwareBoots = []hardwareBoot{
	{name: "NVMe, usr by PARTLABEL", bus: vmtest.NVMe, kernel: vmtest.Forky, usr: func(t *testing.T, b *vmtest.Testbed) string {
		return verityWords(t, b, "PARTLABEL=usr-a", "PARTLABEL=usr-a-verity")
	}, says: `/usr on /dev/nvme0n1p1 with hash tree on /dev/nvme0n1p2, root on /dev/nvme0n1p4`},
	{name: "virtio SCSI, usr by PARTUUID in upper case", bus: vmtest.SCSI, kernel: vmtest.Forky, usr: func(t *testing.T, b *vmtest.Testbed) string {
		return verityWords(t, b, strings.ToUpper(usrOf(t, b)), "PARTUUID="+strings.ToUpper(value(t, b, "USR_VERITY_PARTUUID")))
	}, says: `/usr on /dev/sda1 with hash tree on /dev/sda2, root on /dev/sda4`},
	{name: "AHCI, usr by path", bus: vmtest.AHCI, kernel: vmtest.Forky, usr: func(t *testing.T, b *vmtest.Testbed) string {
		return verityWords(t, b, "/dev/sda1", "/dev/sda2")
	}, says: `/usr on /dev/sda1 with hash tree on /dev/sda2, root on /dev/sda4`},
	{name: "VMware SCSI, usr by UUID", bus: vmtest.PVSCSI, kernel: vmtest.Forky, usr: func(t *testing.T, b *vmtest.Testbed) string {
		return "mount.usr=UUID=" + usrUUID(t, b)
	}, says: `/usr on /dev/sda1 \(erofs\) is not verified`},
	{name: "Fusion-MPT SAS", bus: vmtest.Fusion, kernel: fullKernel, says: `/usr on /dev/sda1 .*root on /dev/sda4`},
	{name: "MegaRAID", bus: vmtest.MegaRAID, kernel: fullKernel, says: `/usr on /dev/sda1 .*root on /dev/sda4`},
	{name: "USB storage", bus: vmtest.USB, kernel: fullKernel, says: `/usr on /dev/sda1 .*root on /dev/sda4`},
	{name: "USB attached SCSI", bus: vmtest.UAS, kernel: fullKernel, says: `/usr on /dev/sda1 .*root on /dev/sda4`},
	{name: "SD card", bus: vmtest.SD, kernel: fullKernel, says: `/usr on /dev/mmcblk0p1 .*root on /dev/mmcblk0p4`},
}

// TestHardware boots with the portable set of drivers from disks of all kinds that QEMU has, up to the real root's init.
func TestHardware(t *testing.T) {
	machines := map[string]*Machine{}
	for _, kernel := range []string{vmtest.Forky, fullKernel} {
		m, err := PrepareImage(kernel, t.TempDir(), Image{Settings: testbedSettings(t), Hardware: "generic"})
		if err != nil {
			t.Fatal(err)
		}
		machines[kernel] = m
	}
	for _, h := range hardwareBoots {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			m := machines[h.kernel]
			words := "usrhash=" + value(t, m.Testbed, "USRHASH")
			if h.usr != nil {
				words = h.usr(t, m.Testbed)
			}
			start := Start{Bus: h.bus, CommandLine: rootOf(t, m.Testbed) + " " + words, Append: "rd.timeout=60 " + stopAtInit, Timeout: 300 * time.Second}
			if h.bus == vmtest.SD {
				start.Disk = copyOfDisk(t, m.Testbed, "card.raw")
				if err := os.Truncate(start.Disk, 1<<30); err != nil {
					t.Fatal(err)
				}
			}
			run, err := m.Boot(t.Context(), start)
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			mark, found := run.Find("testbed: mark init ")
			if !found || !strings.Contains(mark.Text, " confext=present sysext=present ") || !regexp.MustCompile(h.says).MatchString(run.Console) {
				t.Fatalf("the real root's init saw %q; want %q as well:\n%s", mark.Text, h.says, run.Tail(80))
			}
		})
	}
}

// verityWords names both devices of /usr beside the root hash.
func verityWords(t *testing.T, b *vmtest.Testbed, data, tree string) string {
	t.Helper()
	return "usrhash=" + value(t, b, "USRHASH") + " systemd.verity_usr_data=" + data + " systemd.verity_usr_hash=" + tree
}

// usrUUID reads that of the file system (kernel sources, fs/erofs/erofs_fs.h: byte 48 of the superblock, which is at 1024).
func usrUUID(t *testing.T, b *vmtest.Testbed) string {
	t.Helper()
	at := offsetOf(t, b, "USR_OFFSET")
	disk, err := os.Open(testbedDisk(t, b))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	uuid := make([]byte, 16)
	if _, err := disk.ReadAt(uuid, at+1024+48); err != nil {
		t.Fatal(err)
	}
	h := hex.EncodeToString(uuid)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// testbedSettings is the testbed's own preroot.conf.
func testbedSettings(t *testing.T) string {
	t.Helper()
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(repository, settingsOfTestbed))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLateDisk (V6) attaches the disk of /usr 20 seconds after the start of /init.
func TestLateDisk(t *testing.T) {
	t.Parallel()
	const late, most = 20 * time.Second, 60 * time.Second
	m := prepare(t, vmtest.Forky)
	size, err := m.Testbed.Offset("ROOT_SIZE")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.raw")
	copyPart(t, root, m.Testbed, "ROOT", size)
	run, err := m.Boot(t.Context(), Start{
		Disk: root, CommandLine: "root=/dev/vda rw usrhash=" + value(t, m.Testbed, "USRHASH"), Append: "rd.timeout=60 " + stopAtInit, Timeout: 300 * time.Second,
		Plugs: []vmtest.Plug{{Path: testbedDisk(t, m.Testbed), After: initReached, Delay: late}},
	})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	started, _ := run.Find(initReached)
	mark, found := run.Find("testbed: mark init ")
	took := mark.At - started.At
	if !found || took < late || took > late+most || !strings.Contains(mark.Text, " confext=present sysext=present ") {
		t.Errorf("the real root's init came after %v and saw %q:\n%s", took, mark.Text, run.Tail(80))
	}
	t.Logf("%.1f s after the disk the real root's init ran", (took - late).Seconds())
}
