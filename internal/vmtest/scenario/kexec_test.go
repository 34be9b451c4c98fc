//go:build vm

package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// kexecScript is run by the real root's bash: it copies the kernel and the initramfs from their disks, since kexec_file_load(2) takes plain files,
// and starts the kernel. The numbers are those of amd64: kexec_file_load, and reboot with LINUX_REBOOT_CMD_KEXEC.
const kexecScript = `head -c %d /dev/vde >/run/kernel && head -c %d /dev/vdf >/run/initrd && exec perl -e '
	open K, "</run/kernel" or die $!; open I, "</run/initrd" or die $!;
	my $line = "%s\0";
	syscall(320, fileno K, fileno I, length $line, $line, 0) == 0 or die "kexec_file_load: $!";
	syscall(169, 0xfee1dead, 672274793, 0x45584543, 0);
	die "reboot: $!"'
`

// TestKexec (H12) starts the other slot with the root hash of this one, and the same kernel on the other slot with its own.
func TestKexec(t *testing.T) {
	m := prepare(t, vmtest.Forky)
	size, err := m.Testbed.Offset("USR_SIZE")
	if err != nil {
		t.Fatal(err)
	}
	// The other slot holds another build: one byte behind the file system's end differs.
	dir := t.TempDir()
	data, tree := filepath.Join(dir, "usr.raw"), filepath.Join(dir, "tree.raw")
	copyPart(t, data, m.Testbed, "USR", size+4096)
	if err := vmtest.FlipBit(data, size, 0); err != nil {
		t.Fatal(err)
	}
	hash := formatVerity(t, data, tree)
	for _, c := range []struct{ name, hash, refused string }{
		{"this slot's hash", value(t, m.Testbed, "USRHASH"), `/usr on /dev/vdc: .*top hash block does not match the root hash.*usrhash= belongs to another image`},
		{"its own hash", hash, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := "console=ttyS0 panic=-1 " + rootOf(t, m.Testbed) + " usrhash=" + c.hash +
				" systemd.verity_usr_data=/dev/vdb systemd.verity_usr_hash=/dev/vdc " + stopAtInit
			script := fmt.Sprintf(kexecScript, lengthOf(t, m.Kernel.Image), lengthOf(t, m.Initrd), line)
			script += strings.Repeat("\n", -len(script)&511)
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			run, err := m.Boot(t.Context(), Start{
				MoreDisks: []string{data, tree, file, wholeSectors(t, m.Kernel.Image), wholeSectors(t, m.Initrd)},
				Append:    `init=/usr/bin/bash -- -c "bash </dev/vdd"`, Timeout: 300 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			if run.Count(initReached) != 2 {
				t.Fatalf("%d kernels ran, want 2:\n%s", run.Count(initReached), run.Tail(80))
			}
			if c.refused != "" {
				judge(t, run, CheckRefusal(run, regexp.MustCompile(c.refused), 3*refusalLimit))
				return
			}
			if mark, found := run.Find("testbed: mark init "); !found || !strings.Contains(mark.Text, " confext=present sysext=present ") {
				t.Errorf("the real root's init saw %q:\n%s", mark.Text, run.Tail(80))
			}
		})
	}
}

func lengthOf(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// wholeSectors copies a file and makes a disk of it.
func wholeSectors(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(disk, append(text, make([]byte, -len(text)&511)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return disk
}
