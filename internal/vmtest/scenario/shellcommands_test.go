//go:build vm

package scenario

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// typed is one line that somebody types into a rescue shell, the keys for what it waits for, and a regular expression for what comes up to
// the next prompt.
type typed struct {
	line string
	keys []vmtest.Exchange
	want string
}

// shellLines has every command that docs/rescue.md lists, and the network that the kernel command line asks for.
var shellLines = []typed{
	// see what failed
	{line: "why", want: `It stands at the breakpoint pre-switch-root`},
	{line: "help", want: `(?s)see what failed.*repair verity.*boot on`},
	{line: "help dd", want: `usage: dd \[if=FILE\]`},
	{line: "dmesg -l notice | grep 'ernel command'", want: `\n\[ +[\d.]+\] Kernel command line: .*rd\.break=pre-switch-root`},
	{line: "dmesg -l emerg,alert | wc -l; dmesg -T | head -n 1", want: `\n0\n\[\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}\] `},
	{line: "echo abc | egrep 'a(b|x)c'; echo a.c | fgrep .", want: `\nabc\na\.c\n`},
	{line: "grep -c ^processor /proc/cpuinfo", want: `\n2\n`},
	{line: "free -m", want: `(?m)^Mem: +1[89]\d\d `},
	{line: "ps | grep init", want: `(?m)^ +1 .*init`},
	{line: "dmesg | less", keys: []vmtest.Exchange{{Wait: "h help", Send: " "}, {Wait: "h help", Send: "/Run /in[a-z]t\r"}, {Wait: "h help", Send: "q"}},
		want: `(?s)\[7m\d%  q quit.*\[7m\d+%  q quit.*\[7mRun /init\x1b`},
	{line: "more /proc/mounts", keys: []vmtest.Exchange{{Wait: "h help", Send: "G"}, {Wait: "(END)", Send: "q"}}, want: `/sysroot/usr`},
	// look at the disk
	{line: "blkid /dev/vda4", want: `/dev/vda4: .*UUID="[-0-9a-f]{36}" .*TYPE="ext4"`},
	{line: "blkid -o value -s TYPE /dev/vda1", want: `\nerofs\n`},
	{line: "lsblk", want: `(?s)\nNAME +MAJ:MIN.*\nvda +\d+:0 .*vda4 .* part +/sysroot`},
	{line: "df -hT /sysroot", want: `(?m)^/dev/vda4 +ext4 +[\d.]+[MG] .*\d+% /sysroot$`},
	{line: "mkdir -p /m/a /m/b; mount -t tmpfs -o size=8m none /m/a; mount | grep /m/a", want: `none on /m/a type tmpfs \(rw,.*size=8192k`},
	{line: "mount --bind /sysroot/usr /m/b; ls /m/b; umount /m/b; ls /m/b | wc -l", want: `(?s)\nbin.*\n0\n`},
	// repair verity
	{line: "(echo a; sleep 2; echo b) | dd of=/m/a/f status=progress", want: `\r\d bytes \(\d\) copied, 2\..*\n0\+\d records in\n0\+\d records out\n4 bytes`},
	{line: "dd if=/dev/vda4 of=/m/a/part bs=64K count=16", want: `16\+0 records in\n16\+0 records out\n1048576 bytes`},
	{line: "echo abc | sha1sum", want: `\n03cfd743661f07975fa2f1220c5194cbaff48451  -\n`},
	{line: "echo abc | sha256sum", want: `\nedeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb  -\n`},
	{line: "echo abc >/m/a/x; sha512sum /m/a/x >/m/a/s; sha512sum -c /m/a/s", want: `\n/m/a/x: OK\n`},
	{line: "echo abc | shasum -a 224", want: `\n[0-9a-f]{56}  -\n`},
	{line: "sync; sync -f /sysroot; echo code $?", want: `\ncode 0\n`},
	{line: "verity --help; merge --help; etc-rules --help", want: `(?s)Usage: verity .*\nmerge \[.*\nusage: etc-rules `},
	{line: "switchroot --help; report | head -n 1", want: `(?s) switch_root \[options\].*\npreroot \(full\) on Linux `},
	// files
	{line: "echo abc | base64; echo YWJjCg== | base64 -d", want: `\nYWJjCg==\nabc\n`},
	{line: "cat -n /m/a/x", want: `\n +1\tabc\n`},
	{line: "chmod u=rwx,go= /m/a/x; chown 7:8 /m/a/x; ls -ln /m/a/x", want: `\n-rwx------ +1 7 +8 +4 .* /m/a/x\n`},
	{line: "cp -a /m/a/x /m/a/y; ls -l /m/a/y; touch -d 2020-01-02 /m/a/y", want: `\n-rwx------ .* /m/a/y\n`},
	{line: "find /m/a -name '[xy]' -type f | sort 2>&1; find /m/a -name y -exec cat {} ';' -exec echo it is {} ';'", want: `sort: not found.*\nabc\nit is /m/a/y\n`},
	{line: "gzip -k /m/a/x; zcat /m/a/x.gz; rm /m/a/x; gunzip /m/a/x.gz; cat /m/a/x", want: `\nabc\nabc\n`},
	{line: "head -n 1 /proc/meminfo; echo abc | tail -c 3", want: `\nMemTotal: .*\nbc\n`},
	{line: "ln -s x /m/a/l; ls -l /m/a/l", want: ` /m/a/l -> x\n`},
	{line: "mktemp -p /m/a t.XXXXXX", want: `\n/m/a/t\.\w{6}\n`},
	{line: "mv /m/a/y /m/a/z; mkdir /m/a/d; rmdir /m/a/d; ls -l /m/a/z; ls /m/a", want: ` 2020-01-02 00:00 /m/a/z\nf +l +part +s +t\.\w{6} +x +z\n`},
	{line: "tar czf /m/a/t.tgz -C /sysroot/etc passwd; tar tvzf /m/a/t.tgz; tar xzOf /m/a/t.tgz", want: `(?s)-rw-r--r-- .* passwd\n.*root:x:0:0:`},
	{line: "echo one two | xargs -n 1 echo got; echo abc | wc -c", want: `\ngot one\ngot two\n4\n`},
	{line: "rm -r /m/a/d /m/a/z; echo code $?; rm -rf /m/a/z; umount /m/a; ls /m/a", want: `rm: /m/a/d: no such file.*\ncode 1\n$`},
	// network: what the kernel command line asked for was done when the shell opened
	{line: "ip -br addr", want: `(?m)^lo +UNKNOWN +127\.0\.0\.1/8.*\neth0 +UP +10\.0\.2\.15/24 fec0::15/64`},
	{line: "ip route; ip -6 route | grep via", want: `default via 10\.0\.2\.2 dev eth0\n10\.0\.2\.0/24 dev eth0 proto kernel scope link src 10\.0\.2\.15\n10\.9\.0\.0/16 via 10\.0\.2\.9 dev eth0\ndefault via fec0::2 dev eth0`},
	{line: "ip link show eth0", want: `eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 `},
	{line: "ping -c 2 -i 0.2 10.0.2.2", want: `64 bytes from 10\.0\.2\.2: seq=1 (?s).*2 packets transmitted, 2 received, 0% packet loss`},
	{line: "ping -c 1 fec0::2", want: `1 packets transmitted, 1 received`},
	{line: "cat /etc/resolv.conf", want: `\nnameserver 10\.0\.2\.3\n$`},
	{line: "ip addr add 10.0.2.77/32 dev eth0; ip a | grep 2.77; ip addr del 10.0.2.77/32 dev eth0", want: `inet 10\.0\.2\.77/32 scope global eth0\n`},
	{line: "ip cmdline", want: `eth0 has 10\.0\.2\.15/24 already, and stays as it is\nthere is no network device "enp0s9", but eth0\neth0 has fec0::15/64 already, and stays as it is\nip: ip=dhcp: only static addresses`},
	// system
	{line: "chroot /sysroot /usr/bin/bash -c 'ls -d /usr/lib/modules/* | wc -l'", want: `\n[1-9]\n`},
	{line: "sleep 300 & sleep 2; ps | grep 'sleep [3]00' | while read pid rest; do kill -9 $pid; echo code $?; done; wait", want: `\ncode 0\n$`},
	{line: "while ! test -s /run/second; do sleep 0.2; done; cat /run/second", want: `\nstill 42\n`},
	{line: "lsmod | grep virtio_net", want: `\nvirtio_net +\d+ +\d+`},
	{line: "modprobe -v overlay; echo code $?; rmmod erofs", want: `\ncode 0\nrmmod: erofs: it is in use`},
	{line: "uname -srm", want: `\nLinux 7\.\S+ x86_64\n`},
	{line: "poweroff", want: `reboot: Power down`},
}

// secondLines are typed on another console at the same time.
var secondLines = []vmtest.Exchange{
	{Wait: rescuePrompt, Send: "echo begun $((6*7)); sleep 300\r"},
	{Wait: "\nbegun 42", Send: "\x03"},
	{Wait: rescuePrompt, Send: "echo still $((6*7)) >/run/second\r"},
}

// The network of QEMU's is asked for in all the ways there are.
const shellNetwork = "ip=10.0.2.15::10.0.2.2:255.255.255.0:guest:eth0:none:1400 ip=[fec0::15]::[fec0::2]:64::enp0s9:off nameserver=10.0.2.3 rd.route=10.9.0.0/16:10.0.2.9 ip=dhcp"

// otherEnds are the commands that end a machine in another way than poweroff.
var otherEnds = []struct {
	line, until, want string
}{
	{"reboot", "", "reboot: Restarting system"},
	{"halt", "reboot: System halted", "reboot: System halted"},
}

// TestShellCommands types every command of the rescue shell on the serial line of a guest, and looks at what it prints. The shell stands at a
// breakpoint, with the network that the kernel command line asks for, and another one on hvc0.
func TestShellCommands(t *testing.T) {
	checkDocumented(t)
	m, err := prepareTestbed(vmtest.Forky, t.TempDir(), "[Failure]\nAction=shell\n", Image{Modules: []string{"virtio_net"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		var dialog []vmtest.Exchange
		for _, row := range shellLines {
			dialog = append(append(dialog, vmtest.Exchange{Wait: rescuePrompt, Send: row.line + "\r"}), row.keys...)
		}
		second := filepath.Join(t.TempDir(), "second")
		run, err := m.Boot(t.Context(), Start{
			Append: "rd.break=pre-switch-root panic=0 console=hvc0 console=ttyS0 " + shellNetwork, Dialog: dialog, Network: true,
			SecondConsole: second, SecondDialog: secondLines, Timeout: 300 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		logRun(t, run)
		parts := strings.Split(strings.ReplaceAll(run.Console, "\r\n", "\n"), rescuePrompt)
		for _, want := range []string{`\neth0 has 10\.0\.2\.15/24, and 10\.0\.2\.2 leads on\n`, `\nthere is no network device "enp0s9", but eth0\neth0 has fec0::15/64, and fec0::2 leads on\n`,
			`\nip: ip=dhcp: only static addresses are set here`} {
			if !regexp.MustCompile(want).MatchString(parts[0]) {
				t.Errorf("%q does not come before the first prompt", want)
			}
		}
		for i, row := range shellLines {
			if i+1 >= len(parts) {
				t.Fatalf("%q was never typed:\n%s", row.line, run.Tail(60))
			}
			if got := parts[i+1]; !regexp.MustCompile(row.want).MatchString(got) {
				t.Errorf("%s: %q does not match %s", row.line, got, row.want)
			}
		}
		if text, err := os.ReadFile(second); err != nil || strings.Count(string(text), rescuePrompt) != 3 || !strings.Contains(string(text), "stands at the breakpoint") {
			t.Errorf("hvc0: %v, %s", err, text)
		}
		if run.End != vmtest.EndedByGuest {
			t.Error(run.End)
		}
	})
	for _, end := range otherEnds {
		t.Run(end.line, func(t *testing.T) {
			t.Parallel()
			run, err := m.Boot(t.Context(), Start{
				Append: "rd.break=pre-devices panic=0 ip=10.0.2.300::10.0.2.2:24::eth0:none ip=10.0.2.15:::24::eth0:none rd.route=nowhere",
				Dialog: []vmtest.Exchange{{Wait: rescuePrompt, Send: end.line + "\r"}}, Until: end.until, Timeout: 120 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			// Errors of the network are sentences, and the shell opens.
			for _, want := range []string{`\nip: ip=10\.0\.2\.300::\S+ "10\.0\.2\.300" is no address\n`, `\nip: ip=10\.0\.2\.15:\S+ there is no network device: is its driver in this image\?\n`,
				`\nip: rd\.route=nowhere: "nowhere" is no address\n`, end.want} {
				if !regexp.MustCompile(want).MatchString(run.Console) {
					t.Errorf("the console does not match %s:\n%s", want, run.Tail(60))
				}
			}
			if (run.End == vmtest.EndedAtText) != (end.until != "") {
				t.Error(run.End)
			}
		})
	}
}

// checkDocumented: every command that the document lists is typed.
func checkDocumented(t *testing.T) {
	t.Helper()
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(repository, "docs/rescue.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, row := range shellLines {
		all += row.line + "\n"
	}
	for _, end := range otherEnds {
		all += end.line + "\n"
	}
	words := strings.FieldsFunc(all, func(r rune) bool { return strings.ContainsRune(" \n;|&(){}'", r) })
	listed := regexp.MustCompile("(?m)^\\| [^|]*\\| `([a-z0-9]+)").FindAllStringSubmatch(string(text), -1)
	if len(listed) < 40 {
		t.Errorf("the document lists %d commands", len(listed))
	}
	for _, name := range listed {
		if !slices.Contains(words, name[1]) {
			t.Errorf("%s is typed nowhere", name[1])
		}
	}
}
