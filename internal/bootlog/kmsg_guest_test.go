//go:build guest

package bootlog_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/bootlog"
)

// kmsg reads the records of the log from now on.
type kmsg struct{ fd int }

func openKmsg(t *testing.T) kmsg {
	t.Helper()
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return kmsg{fd}
}

// ours returns the records of preroot since the last call, "PRIORITY TEXT".
func (k kmsg) ours(t *testing.T) []string {
	t.Helper()
	var found []string
	buf := make([]byte, 8<<10)
	for {
		n, err := unix.Read(k.fd, buf)
		if err == unix.EAGAIN {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		prefix, text, _ := strings.Cut(string(buf[:n]), ";")
		priority, _, _ := strings.Cut(prefix, ",")
		if text, _, _ = strings.Cut(text, "\n"); strings.HasPrefix(text, "preroot: ") {
			found = append(found, priority+" "+text)
		}
	}
}

func setting(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestRecordsReachTheKernelsLog(t *testing.T) {
	k := openKmsg(t)
	l := bootlog.Open()
	defer l.Close()
	l.Printf(bootlog.Info, "information\nin two lines")
	l.Printf(bootlog.Error, "an error \x1b[2J")
	l.Printf(bootlog.Warning, "%s", strings.Repeat("long ", 400))
	got := k.ours(t)
	if len(got) != 4 || got[0] != "30 preroot: information" || got[1] != "30 preroot: in two lines" || got[2] != "27 preroot: an error ?[2J" {
		t.Errorf("%q", got)
	}
	if len(got) == 4 && (!strings.HasPrefix(got[3], "28 preroot: long long ") || !strings.HasSuffix(got[3], "...")) {
		t.Errorf("the long one: %q", got[3])
	}
}

func TestABusyBootLosesNoRecord(t *testing.T) {
	k := openKmsg(t)
	l := bootlog.Open()
	const count = 300
	got := 0
	for i := range count {
		l.Printf(bootlog.Info, "record %d", i)
		got += len(k.ours(t))
	}
	if got != count {
		t.Errorf("%d of %d records", got, count)
	}
	if mode := setting(t, "printk_devkmsg"); mode != "on" {
		t.Errorf("printk_devkmsg is %s", mode)
	}
	l.Close()
	if mode := setting(t, "printk_devkmsg"); mode != "ratelimit" {
		t.Errorf("printk_devkmsg is %s afterwards", mode)
	}
}

// The limit is back before the next init runs, and what fails then is still told.
func TestTheLimitIsRestoredBeforeTheEnd(t *testing.T) {
	k := openKmsg(t)
	l := bootlog.Open()
	defer l.Close()
	l.RestoreRate()
	if mode := setting(t, "printk_devkmsg"); mode != "ratelimit" {
		t.Errorf("printk_devkmsg is %s", mode)
	}
	l.Printf(bootlog.Info, "still there")
	l.Reopen()
	if mode := setting(t, "printk_devkmsg"); mode != "on" {
		t.Errorf("printk_devkmsg is %s after opening again", mode)
	}
	l.Printf(bootlog.Info, "again")
	if got := k.ours(t); len(got) != 2 || got[0] != "30 preroot: still there" || got[1] != "30 preroot: again" {
		t.Errorf("%q", got)
	}
}

func TestFailIsSeenOnAQuietConsole(t *testing.T) {
	before := setting(t, "printk")
	defer func() {
		if err := os.WriteFile("/proc/sys/kernel/printk", []byte(before+"\n"), 0); err != nil {
			t.Error(err)
		}
	}()
	k := openKmsg(t)
	l := bootlog.Open()
	defer l.Close()
	l.Printf(bootlog.Error, "quiet")
	if got := setting(t, "printk"); got != before {
		t.Errorf("console level %s, before %s", got, before)
	}
	l.Fail("boot failed: " + strings.Repeat("reason ", 20) + "\nadvice")
	if got := strings.Fields(setting(t, "printk"))[0]; got != "7" {
		t.Errorf("console level %s", got)
	}
	// The console is the tests' own: let the kernel finish before it goes on.
	time.Sleep(500 * time.Millisecond)
	got := k.ours(t)
	if len(got) < 4 || got[1] != "27 preroot: boot failed: reason reason reason reason reason reason" || got[len(got)-1] != "27 preroot: advice" {
		t.Errorf("%q", got)
	}
	for _, record := range got {
		if line := fmt.Sprintf("[%12.6f] %s", 12.345678, strings.SplitN(record, " ", 2)[1]); len(line) > 79 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}
