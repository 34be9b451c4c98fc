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

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest"
)

// askShell boots into a shell of the real root as init, which runs a script and ends the machine. What the script prints with "say" is returned, a
// line each.
func askShell(t *testing.T, m *Machine, disks []vmtest.Disk, script string) []string {
	t.Helper()
	said, _ := askAt(t, m, value(t, m.Testbed, "CMDLINE"), "/usr/bin/bash", disks, script)
	return said
}

// askAt does so with another command line and another shell, and returns the whole run as well. The script must have no double quotes.
func askAt(t *testing.T, m *Machine, line, shell string, disks []vmtest.Disk, script string) ([]string, *vmtest.Run) {
	t.Helper()
	// The serial line is slower than the restart. preroot's own shell does without, and says little.
	// The kernel's own messages would come between the words.
	const say, last = "echo 1 >/proc/sys/kernel/printk; say() { echo said: $* >/dev/console; }; ", "; sleep 1 2>/dev/null"
	run, err := vmtest.Boot(t.Context(), vmtest.Config{
		Kernel: m.Kernel.Image, Initrd: m.Initrd, Disks: disks, Timeout: 200 * time.Second, Reached: initReached,
		Append: joinWords("console=ttyS0 panic=-1", line, `init=`+shell+` -- -c "`+say+script+last+`; echo b >/proc/sysrq-trigger"`),
	})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	var said []string
	for _, line := range run.Lines {
		// The kernel prints its command line, too.
		if text, found := strings.CutPrefix(line.Text, "said: "); found {
			said = append(said, strings.TrimSpace(text))
		}
	}
	t.Logf("the console:\n%s", run.Tail(60))
	return said, run
}

func wantSaid(t *testing.T, said, patterns []string) {
	t.Helper()
	if len(said) != len(patterns) {
		t.Fatalf("said %q, want %q", said, patterns)
	}
	for i, pattern := range patterns {
		if !regexp.MustCompile("^" + pattern + "$").MatchString(said[i]) {
			t.Errorf("said %q, want %q", said[i], pattern)
		}
	}
}

// TestStubFilesReachTheRealRoot has what systemd-stub adds to an initrd. QEMU may have credentials for systemd, so no variable is set.
func TestStubFilesReachTheRealRoot(t *testing.T) {
	t.Parallel()
	extra := writeTree(t, map[string]string{
		"credentials/a.cred": "mine", "global_credentials/a.cred": "not mine", "global_credentials/b.cred": "all", "profile": "ID=p",
		"tpm2-pcr-signature.json": "{}", "confext/x.raw": "x",
	})
	m, err := PrepareWith(vmtest.Forky, t.TempDir(), "", initramfs.Include{Source: extra, Destination: ".extra"})
	if err != nil {
		t.Fatal(err)
	}
	disk, err := m.Testbed.File("disk.raw", "scripts/guest")
	if err != nil {
		t.Fatal(err)
	}
	said := askShell(t, m, []vmtest.Disk{{Path: disk, Snapshot: true}},
		"cd /run; for f in credentials/@encrypted/* credstore.encrypted/* systemd/stub/* systemd/tpm2*; do say $(stat -c %a $f) $f $(cat $f); done; "+
			"say $(stat -c %a credentials/@encrypted) $(grep -c /run/credentials/@encrypted /proc/mounts); "+
			"say environment $ENCRYPTED_CREDENTIALS_DIRECTORY; say $(ls -d /run/initramfs /.extra /etc/initrd-release 2>&1 | grep -c No); "+
			"read -a stat </proc/self/stat; say nice ${stat[18]}")
	wantSaid(t, said, []string{
		"400 credentials/@encrypted/a mine", "400 credentials/@encrypted/b all", "400 credstore.encrypted/a mine", "400 credstore.encrypted/b all",
		"444 systemd/stub/profile ID.p", `444 systemd/tpm2-pcr-signature.json \{\}`, "700 1", "environment", "3",
		"nice 0",
	})
}

// TestSeparateVarIsMergedEarly (E33): only the merged /etc has an fstab with /var, which is on a disk of its own, and an extension on it.
func TestSeparateVarIsMergedEarly(t *testing.T) {
	t.Parallel()
	m := prepare(t, vmtest.Forky)
	disk := copyOfDisk(t, m.Testbed, "root.raw")
	confext := writeTree(t, map[string]string{"release": "ID=_any\n", "fstab": "LABEL=testvar /var ext4 x-initrd.mount 0 2\n"})
	editRoot(t, m.Testbed, disk,
		"mkdir /var/lib/confexts/10-fstab", "mkdir /var/lib/confexts/10-fstab/etc", "mkdir /var/lib/confexts/10-fstab/etc/extension-release.d",
		fmt.Sprintf("write %s/release /var/lib/confexts/10-fstab/etc/extension-release.d/extension-release.10-fstab", confext),
		fmt.Sprintf("write %s/fstab /var/lib/confexts/10-fstab/etc/fstab", confext))
	tree := writeTree(t, map[string]string{
		"lib/confexts/late/etc/extension-release.d/extension-release.late": "ID=_any\n", "lib/confexts/late/etc/testbed-late": "late\n",
	})
	variable := filepath.Join(t.TempDir(), "var.raw")
	if err := os.WriteFile(variable, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(variable, 16<<20); err != nil {
		t.Fatal(err)
	}
	tool(t, m.Testbed, "usr/sbin/mkfs.ext4", "-q", "-F", "-L", "testvar", "-d", tree, variable)
	said := askShell(t, m, []vmtest.Disk{{Path: disk, Snapshot: true}, {Path: variable, Snapshot: true}},
		"say $(cat /etc/testbed-late); say $(grep -c ' /etc overlay' /proc/mounts) $(grep ' /var ' /proc/mounts); "+
			"say $(systemd-confext refresh 2>&1); say $(systemd-sysext refresh 2>&1)")
	wantSaid(t, said, []string{"late", "1 /dev/vd[a-z]+ /var ext4 .*", ".*Skipping extension refresh because no change was found.*", ".*(Skipping|No extensions found).*"})
}
