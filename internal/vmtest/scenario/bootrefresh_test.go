//go:build vm

package scenario

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// bootRefreshGuests are the systems whose first start is to do nothing: one with a systemd that would merge again, and one whose
// systemd would skip by itself, on request.
var bootRefreshGuests = []struct {
	suite, disk, conf string
	version           string
	skips             bool
}{
	{vmtest.Trixie, "trixie.raw", "", "systemd 257", false},
	{vmtest.Forky, "disk.raw", "BootRefresh=skip\n", "systemd 262", true},
}

// bootRefreshTime bounds a boot with a soft reboot in it, emulated.
const bootRefreshTime = 900 * time.Second

// allWords ask the guest for all that can be done to the services.
const allWords = "testbed.refresh"

// TestBootRefresh starts, reloads, restarts, stops and refreshes, and softly reboots, after a first start that did nothing.
func TestBootRefresh(t *testing.T) {
	bootForRefresh(t, allWords, func(r *Report, skips bool) []Finding { return CheckBootRefresh(r, skips) })
}

// TestBootRefreshWithLateExtensions adds extensions between the switch and the first start.
func TestBootRefreshWithLateExtensions(t *testing.T) {
	bootForRefresh(t, "testbed.refresh testbed.late", func(r *Report, _ bool) []Finding { return CheckLateExtensions(r) })
}

func bootForRefresh(t *testing.T, words string, judgement func(r *Report, skips bool) []Finding) {
	for _, guest := range bootRefreshGuests {
		// The second guest takes scripts/faults: it is not run here, so it does not pass either.
		if guest.skips && os.Getenv(vmtest.LongVariable) == "" {
			continue
		}
		t.Run(guest.suite, func(t *testing.T) {
			t.Parallel()
			// The testbed's settings end in [ConfExt].
			m, err := PrepareWith(guest.suite, t.TempDir(), guest.conf+"[SysExt]\n"+guest.conf)
			if err != nil {
				t.Fatal(err)
			}
			start := Start{Append: joinWords("testbed.noreport systemd.getty_auto=no", words, RefreshWords(guest.suite)), Timeout: bootRefreshTime}
			if start.Disk, err = m.Testbed.File(guest.disk, "scripts/guest"); err != nil {
				t.Fatal(err)
			}
			values, err := m.Testbed.DiskValues(guest.disk)
			if err != nil {
				t.Fatal(err)
			}
			start.CommandLine = values["CMDLINE"]
			run, err := m.Boot(t.Context(), start)
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			report, err := Parse(run.Console)
			if err != nil {
				t.Fatalf("%v\n%s", err, run.Tail(60))
			}
			if seen, err := report.Text("versions"); err != nil || !strings.Contains(seen, guest.version) {
				t.Fatalf("the guest is %q, %v; want %s", seen, err, guest.version)
			}
			judge(t, run, judgement(report, guest.skips))
			cost, err := report.Text("cost")
			t.Logf("cost of the first start: %s, %v", strings.ReplaceAll(cost, "\n", " "), err)
		})
	}
}
