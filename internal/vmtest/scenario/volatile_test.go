//go:build vm

package scenario

import (
	"regexp"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestVolatile boots with the modes of systemd.volatile=. The disk must be as it was afterwards, whatever was written.
func TestVolatile(t *testing.T) {
	const skipped = ".*Skipping extension refresh because no change was found.*"
	look := "say $(grep -E ' (/|/var|/usr|/etc) ' /proc/mounts | while read -r a b c d e; do echo $b:$c:${d%%,*}; done | sort); " +
		"say $(cat /etc/testbed-default /etc/testbed-user /etc/testbed-upper /usr/share/testbed/sysext 2>/dev/null); " +
		"say $(for d in / /var /etc; do (echo x >$d/new) 2>/dev/null && echo $d; done); " +
		"say $(test -d /run/systemd/system/systemd-confext.service.d && echo spared || systemd-confext refresh 2>&1); say $(stat -c %a:%N /root /tmp /bin)"
	for _, c := range []struct {
		mode string
		said []string
		says string
	}{
		// Nothing but /usr: of the extensions only its own is there, and no directory that takes writes.
		{"yes", []string{"/:tmpfs:rw /etc:overlay:ro /usr:erofs:ro", "default", "/ /var", skipped, "750:'/root' 1777:'/tmp' 777:'/bin' -> 'usr/bin'"}, "the root is in memory, with /usr alone"},
		// /var is empty, and with it the user's extensions are gone.
		{"state", []string{"/:ext4:ro /etc:overlay:ro /usr:erofs:ro /var:tmpfs:rw", "default upper", "/var", skipped, "700:'/root' 1777:'/tmp' 777:'/bin' -> 'usr/bin'"}, "systemd.volatile=state"},
		// systemd's own refresh would fail, and is kept from it.
		{"overlay", []string{"/:overlay:rw /etc:overlay:ro /usr:erofs:ro /usr:overlay:ro", ".+ .+ upper .+", "/ /var", "spared", "700:'/root' 1777:'/tmp' 777:'/bin' -> 'usr/bin'"}, "systemd.volatile=overlay"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			m := prepare(t, vmtest.Forky)
			disk := copyOfDisk(t, m.Testbed, "disk.raw")
			before := digestOf(t, disk)
			said, run := askAt(t, m, value(t, m.Testbed, "CMDLINE")+" systemd.volatile="+c.mode, "/usr/bin/bash", []vmtest.Disk{{Path: disk}}, look)
			wantSaid(t, said, c.said)
			if !regexp.MustCompile(c.says).MatchString(run.Console) {
				t.Errorf("%q is not on the console", c.says)
			}
			if digestOf(t, disk) != before {
				t.Error("the disk was written to")
			}
		})
	}
}
