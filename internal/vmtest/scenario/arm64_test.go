//go:build vm

package scenario

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestARM64 boots what mkpreroot packs for arm64, from the kernel to the real root's init, on an emulated machine of that kind. The root is found
// by its type of partition, which is another one there.
func TestARM64(t *testing.T) {
	t.Parallel()
	b, kernel := openKernel(t, "forky-arm64")
	s := buildSmallRoot(t, b, "arm64", false)
	run, err := vmtest.Boot(t.Context(), vmtest.Config{
		Arch: vmtest.ARM64, Kernel: kernel.Image, Initrd: packImage(t, kernel, "--arch", "arm64", "--hardware", "generic"),
		Append: "console=ttyAMA0 panic=-1 rw usrhash=" + s.hash,
		Disks:  []vmtest.Disk{{Path: writeDisk(t, s.usr, s.usrVerity, s.root), Snapshot: true}},
		// A loaded machine emulates it in a minute and more.
		Timeout: 300 * time.Second, Reached: initReached,
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSmallRoot(t, run, s, []string{
		`pid 1 on ` + regexp.QuoteMeta(kernel.Release) + ` aarch64 as \["/sbin/init"\]`,
		`mount / rw\S* ext4 /dev/vda3 .*`,
		`partition vda[123] is driven by virtio_blk virtio-pci.*`,
	})
}

func openKernel(t *testing.T, name string) (*vmtest.Testbed, vmtest.Kernel) {
	t.Helper()
	b, err := vmtest.OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := b.Kernel(name)
	if err != nil {
		t.Fatal(err)
	}
	return b, kernel
}

// keptInMemory is the most that files in memory may take when the real root's init runs, in KiB: the initramfs alone has five times that.
const keptInMemory = 4 << 10

// wantSmallRoot wants the init of a small root to have said what every boot must lead to, and what the machine adds: each pattern a whole line. The
// machine has to end by the panic of dm-verity, when that program reads what it damaged.
func wantSmallRoot(t *testing.T, run *vmtest.Run, s smallRoot, more []string) {
	t.Helper()
	logRun(t, run)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the console:\n%s", run.Tail(200))
		}
	})
	for _, pattern := range append(more,
		`mount /usr ro\S* erofs /dev/mapper/usr .*`,
		`mount /etc ro\S* overlay confext .*`,
		`mount /run rw\S* tmpfs .*`,
		`file /etc/from-confext: "merged\\n" error=<nil>`, `file /etc/from-root: "root\\n" error=<nil>`, `file /usr/from-usr: "verified\\n" error=<nil>`,
		`write /usr: .*read-only file system`, `end`,
	) {
		if !saysLine(run, pattern) {
			t.Errorf("the real root does not say %q", pattern)
		}
	}
	var kept int
	if text := valueOf(t, run, `files in memory take (\d+) KiB`); json.Unmarshal([]byte(text), &kept) != nil || kept > keptInMemory {
		t.Errorf("files in memory take %s KiB: the initramfs is still there", text)
	} else {
		t.Logf("files in memory take %d KiB", kept)
	}
	wantReport(t, valueOf(t, run, `report (.*)`), s)
	for _, text := range []string{"is corrupted", "Kernel panic - not syncing: dm-verity device corrupted"} {
		if _, found := run.Find(text); !found {
			t.Errorf("the console lacks %q: is /usr verified by the kernel?", text)
		}
	}
	if run.End != vmtest.EndedByGuest {
		t.Errorf("the machine was %s", run.End)
	}
}

// wantReport wants the record to have its layout, and to agree with what was built.
func wantReport(t *testing.T, text string, s smallRoot) {
	t.Helper()
	if err := checkRecord(text); err != nil {
		t.Errorf("report.json: %v", err)
	}
	var report struct {
		Usr    struct{ RootHash, FileSystem string }
		Merges []struct {
			Class     string
			Decisions []struct {
				Name, Protection string
				Accepted         bool
			}
		}
		Handover struct{ LeftOver, HelperMounts *[]string }
		Failure  string
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatalf("report.json: %v", err)
	}
	if report.Failure != "" || report.Usr.RootHash != s.hash || report.Usr.FileSystem != "erofs" {
		t.Errorf("report.json: failure %q, /usr %+v", report.Failure, report.Usr)
	}
	verified := false
	for _, merge := range report.Merges {
		for _, d := range merge.Decisions {
			verified = verified || merge.Class == "confext" && d.Name == "00-default" && d.Accepted && d.Protection == "verity"
		}
	}
	if !verified {
		t.Errorf("the confext was not merged from a verified image: %+v", report.Merges)
	}
	if h := report.Handover; h.LeftOver == nil || h.HelperMounts == nil || len(*h.LeftOver)+len(*h.HelperMounts) > 0 {
		t.Errorf("something of the initramfs is left: %+v", h)
	}
}

// saysLine tells whether the init of a small root printed a line of this pattern.
func saysLine(run *vmtest.Run, pattern string) bool {
	expression := regexp.MustCompile(`^root: ` + pattern + `$`)
	for _, line := range run.Lines {
		if expression.MatchString(line.Text) {
			return true
		}
	}
	return false
}

// valueOf gives the group of a pattern in what it printed.
func valueOf(t *testing.T, run *vmtest.Run, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(`^root: ` + pattern + `$`)
	for _, line := range run.Lines {
		if match := expression.FindStringSubmatch(line.Text); match != nil {
			return match[1]
		}
	}
	t.Errorf("the real root does not say %q", pattern)
	return ""
}
