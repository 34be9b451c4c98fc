//go:build guest

package kernellog_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/kernellog"
)

func write(t *testing.T, record string) {
	t.Helper()
	if err := os.WriteFile("/dev/kmsg", []byte(record), 0); err != nil {
		t.Fatal(err)
	}
}

// complain makes the kernel itself log an error.
func complain(t *testing.T) {
	t.Helper()
	if err := unix.Mount("x", t.TempDir(), "overlay", 0, ""); err == nil {
		t.Fatal("an overlay without layers was mounted")
	}
}

func TestOnlyTheKernelAndOnlyWhatCameLater(t *testing.T) {
	complain(t)
	m := kernellog.Now()
	defer m.Close()
	if texts := m.Complaints(); len(texts) != 0 {
		t.Errorf("older than the mark: %q", texts)
	}
	write(t, "<3>overlayfs: said by a program\n")
	write(t, "<27>overlayfs: said by a daemon\n")
	complain(t)
	texts := m.Complaints()
	if !slices.ContainsFunc(texts, func(s string) bool { return strings.HasPrefix(s, "overlayfs: ") && strings.Contains(s, "lowerdir") }) {
		t.Errorf("%q", texts)
	}
	if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "said by") }) {
		t.Errorf("programs are heard: %q", texts)
	}
	if texts := m.Complaints(); len(texts) != 0 {
		t.Errorf("twice: %q", texts)
	}
}

func TestALogThatRanOver(t *testing.T) {
	if err := os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0); err != nil {
		t.Fatal(err)
	}
	m := kernellog.Now()
	defer m.Close()
	for range 4000 {
		write(t, "<30>"+strings.Repeat("x", 800)+"\n")
	}
	// What is lost is lost, and reading ends.
	for range 100 {
		_ = m.Complaints()
	}
	complain(t)
	if texts := m.Complaints(); len(texts) == 0 {
		t.Error("nothing after the run over")
	}
}
