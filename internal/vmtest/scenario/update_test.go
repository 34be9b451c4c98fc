//go:build vm

package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// unitsOfAnUpdate have ConditionNeedsUpdate=: they run when /usr is newer than the stamps in /etc and /var.
var unitsOfAnUpdate = []string{
	"ldconfig.service", "systemd-hwdb-update.service", "systemd-journal-catalog-update.service", "systemd-sysusers.service", "systemd-update-done.service",
}

// masked are those of them that the guest's image masks, since they take long.
var masked = unitsOfAnUpdate[:3]

// TestMergedUsrDoesNotLookNew boots a disk with a sysext twice, as a machine is. What runs at the first boot, which has no
// stamps, must not run at the second; nor on the same disk without the sysext.
func TestMergedUsrDoesNotLookNew(t *testing.T) {
	t.Parallel()
	m := prepare(t, vmtest.Forky)
	disk := copyOfDisk(t, m.Testbed, "sysext.raw")
	unmask(t, m.Testbed, disk)

	first := bootAndKeep(t, m, disk)
	wantUnits(t, first, "first boot", true)
	wantSysexts(t, first, "tool")

	bare := filepath.Join(t.TempDir(), "bare.raw")
	if err := vmtest.CopyDisk(bare, disk); err != nil {
		t.Fatal(err)
	}
	editRoot(t, m.Testbed, bare, "rm /var/lib/extensions/tool.raw")

	second := bootAndKeep(t, m, disk)
	wantUnits(t, second, "second boot", false)
	wantSysexts(t, second, "tool")

	without := bootAndKeep(t, m, bare)
	wantUnits(t, without, "without the sysext", false)
	wantSysexts(t, without)
}

func copyOfDisk(t *testing.T, b *vmtest.Testbed, name string) string {
	t.Helper()
	disk, err := b.File("disk.raw", "scripts/testbed/make-disk")
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), name)
	if err := vmtest.CopyDisk(copied, disk); err != nil {
		t.Fatal(err)
	}
	return copied
}

// unmask puts the units as they are on /usr into the root's own /etc, which lies above the confext with the masks.
func unmask(t *testing.T, b *vmtest.Testbed, disk string) {
	t.Helper()
	commands := []string{"mkdir /etc/systemd", "mkdir /etc/systemd/system"}
	for _, unit := range masked {
		file, err := b.File("rootfs/usr/lib/systemd/system/"+unit, "scripts/testbed/make-rootfs")
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, fmt.Sprintf("write %s /etc/systemd/system/%s", file, unit))
	}
	// With the database on /usr alone there is nothing to update.
	own := filepath.Join(t.TempDir(), "testbed.hwdb")
	if err := os.WriteFile(own, []byte("evdev:name:testbed:*\n TESTBED=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	commands = append(commands, "mkdir /etc/udev", "mkdir /etc/udev/hwdb.d", "write "+own+" /etc/udev/hwdb.d/testbed.hwdb")
	editRoot(t, b, disk, commands...)
}

// bootAndKeep boots a disk to its end. What the guest wrote stays.
func bootAndKeep(t *testing.T, m *Machine, disk string) *Report {
	t.Helper()
	run, err := m.Boot(t.Context(), Start{Disk: disk, Keep: true, Timeout: 900 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	report, err := Parse(run.Console)
	if err != nil {
		t.Fatalf("%v\n%s", err, run.Tail(60))
	}
	return report
}

// wantUnits makes sure that every unit was asked for and ran, or was asked for and was not needed.
func wantUnits(t *testing.T, r *Report, when string, ran bool) {
	t.Helper()
	for _, unit := range unitsOfAnUpdate {
		value, err := r.Value("needs-update", unit)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			continue
		}
		result, started, _ := strings.Cut(value, " ")
		if didRun := result == "yes" && started != "0" && started != ""; didRun != ran || !ran && (result != "no" || started != "0") {
			t.Errorf("%s: %s has condition=%s, started=%s; must have run: %v", when, unit, result, started, ran)
		}
		t.Logf("%s: %s condition=%s started=%s", when, unit, result, started)
	}
	times, err := r.Text("updated")
	t.Logf("%s: %s %v", when, times, err)
}

func wantSysexts(t *testing.T, r *Report, want ...string) {
	t.Helper()
	names, err := evidence{Report: r}.extensions("sysext-json", "/usr")
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("sysexts %q, %v; want %q", names, err, want)
	}
}
