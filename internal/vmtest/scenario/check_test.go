package scenario

import (
	"strings"
	"testing"
)

const sampleRelease = "7.2.12+deb14-cloud-amd64"

func checkSample(t *testing.T, console string) map[string]Finding {
	t.Helper()
	r, err := Parse(console)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Finding{}
	for _, f := range Check(r, sampleRelease) {
		if _, twice := found[f.Point]; twice {
			t.Errorf("two findings are called %q", f.Point)
		}
		found[f.Point] = f
	}
	return found
}

func TestGoodReportProvesEverything(t *testing.T) {
	for _, f := range checkSample(t, readSample(t)) {
		if !f.OK || f.Detail == "" {
			t.Error(f)
		}
	}
}

// damages has for every point at least one change of the good report that must
// make this point fail. The text old must stand in the report; section limits
// the change to that section.
var damages = []struct {
	point    string
	section  string
	old, new string
	detail   string
}{
	{"1 systemd skips its refresh exactly twice", "messages", "skipping=2", "skipping=1", "skipping=1, want 2"},
	{"1 systemd skips its refresh exactly twice", "messages", "skipping=2", "skipping=3", "skipping=3, want 2"},
	{"1 the two messages are from two processes, one a class", "message-lines", "(sd-merge)[401]", "(sd-merge)[388]", "(sd-merge)[388] said it twice"},
	{"1 the two messages are from two processes, one a class", "message-lines", "(sd-merge)[401]: Skipping", "(sd-merge)[401]: Merging", "1 messages"},
	{"1 systemd's tools merged nothing themselves", "messages", "merged=0", "merged=1", "merged=1, want 0"},
	{"1 the directory confext is among the merged", "confext-json", `"plain",`, "", "lacks plain"},
	{"1 no drop-in changes the two services", "drop-ins", "", "/run/systemd/system/systemd-confext.service.d/x.conf\n", "systemd-confext.service.d"},
	{"2 /etc is the same mount from systemd's start to the end of the start", "mount-ids-complete", "/etc=2", "/etc=3", "at systemd's start"},
	{"2 /usr is the same mount from systemd's start to the end of the start", "mount-ids-complete", "/usr=2", "/usr=3", "at systemd's start"},
	{"2 /usr is the same mount from systemd's start to the end of the start", "mount-ids-start", "/usr=", "/nothing=", "no /usr="},
	{"2 systemctl reload of both services succeeds", "reload", "exit=0", "exit=1", "exit=1"},
	{"2 the reload skips both and merges nothing", "messages-reloaded", "skipping=4", "skipping=3", "skipping +1, want +2"},
	{"2 the reload skips both and merges nothing", "messages-reloaded", "merged=0", "merged=2", "merged +2, want +0"},
	{"2 the reload skips both and merges nothing", "messages-reloaded", "merged=0", "merged=many", "no number"},
	{"2 /etc is the same mount after the reload", "mount-ids-reloaded", "/etc=2", "/etc=3", "mount-ids-reloaded"},
	{"2 /usr is the same mount after the reload", "mount-ids-reloaded", "/usr=2", "/usr=3", "mount-ids-reloaded"},
	{"3 /etc is exactly one overlay", "etc-mounts", "/etc overlay", "/etc overlay below rw\n/etc overlay", "2 of them overlays"},
	{"3 /etc is exactly one overlay", "etc-mounts", "/etc overlay", "/etc tmpfs", "0 of them overlays"},
	{"3 /etc is exactly one overlay", "etc-mounts", "", "short\n", "no line of findmnt"},
	{"3 /etc is writable", "etc-mounts", "confext rw,", "confext ro,", "options [ro"},
	{"3 /etc is writable", "etc-write", "written", "Read-only file system", "Read-only"},
	{"3 the files of all layers are there, with the right winner", "etc-files", "testbed-override=default", "testbed-override=user", "testbed-override=user, want default"},
	{"3 the files of all layers are there, with the right winner", "etc-files", "testbed-plain=plain", "testbed-plain=absent", "testbed-plain=absent"},
	{"3 an fstab line of a confext took effect", "from-confext", "mount=active", "mount=inactive", "mount=inactive"},
	{"3 a unit of a confext took effect", "from-confext", "service=active", "service=failed", "service=failed"},
	{"4 veritysetup status usr says verified", "veritysetup", "verified", "corrupted", "corrupted"},
	{"4 veritysetup status usr says verified", "veritysetup", "exit=0", "exit=4", "exit=4"},
	{"4 dm-verity of usr panics on corruption and is named as libcryptsetup would", "dm-table", " 1 panic_on_corruption", "", "no panic_on_corruption"},
	{"4 dm-verity of usr panics on corruption and is named as libcryptsetup would", "dm-status", "usr: 0 333496 verity V", "usr: 0 333496 verity C", "verity C"},
	{"4 dm-verity of usr panics on corruption and is named as libcryptsetup would", "dm-info", "CRYPT-VERITY-958e", "CRYPT-VERITY-95", "UUID"},
	{"4 every extension image is behind dm-verity", "dm-status", "0 240 verity V", "0 240 verity C", "verity C"},
	{"4 every extension image is behind dm-verity", "dm-status", "0 240 verity V", "0 240 linear", "2 verity devices"},
	{"4 systemd-confext status lists what was merged", "confext-json", `"user",`, "", "want [00-default plain user]"},
	{"4 systemd-confext status lists what was merged", "confext-json", "[{", "{", "confext-json"},
	{"4 systemd-sysext status lists what was merged", "sysext-json", `["tool"]`, "[]", "want [tool]"},
	{"4 systemd-sysext status lists what was merged", "sysext-status", "exit=0", "exit=1", "exit=1"},
	{"4 the sysext's file is there", "sysext-file", "sysext", "No such file", "No such file"},
	{"4 systemd-confext unmerge takes our mount away", "unmerge", "exit=0", "exit=1", "exit=1"},
	{"4 systemd-confext unmerge takes our mount away", "etc-mounts-unmerged", "", "/etc overlay confext rw\n", "overlay"},
	{"4 systemd-confext unmerge takes our mount away", "etc-unmerged", "testbed-upper", "testbed-default", "want testbed-upper"},
	{"4 systemd-confext merge works again", "merge", "exit=0", "exit=1", "exit=1"},
	{"4 systemd-confext merge works again", "etc-files-merged", "=user", "=absent", "testbed-user=absent"},
	{"4 systemd-confext merge works again", "confext-json-merged", `"user",`, "", "want [00-default plain user]"},
	{"5 dev-mapper-usr.device is active", "dev-mapper-usr", "plugged", "tentative", "SubState=tentative"},
	{"5 no unit failed", "failed", "", "systemd-confext.service\n", "systemd-confext.service"},
	{"5 no unit failed", "failed-end", "", "mnt.mount\n", "mnt.mount"},
	{"5 systemctl is-system-running says running", "state", "running", "degraded", "degraded"},
	{"5 systemctl is-system-running says running", "state-end", "running", "degraded", "degraded"},
	{"5 the shutdown waits for nothing", "", "shutdown uptime=141.07", "shutdown uptime=231.07", "it took 101.4 s"},
	{"5 the shutdown waits for nothing", "", "mark shutdown", "mark down", "no mark"},
	{"5 the shutdown waits for nothing", "", "reboot: Power down", "Kernel panic", "not powered off"},
	{"6 preroot saw an empty old root", "preroot-report", `"leftOver":[]`, `"leftOver":["init","lib"]`, "init lib"},
	{"6 preroot saw an empty old root", "preroot-report", `"helperMounts":[]`, `"helperMounts":["/run/x"]`, "/run/x"},
	{"6 preroot saw an empty old root", "preroot-report", `"leftOver":[]`, `"leftOver":null`, "nobody looked"},
	{"6 preroot saw an empty old root", "preroot-report", `"handover"`, `"before"`, "no handover"},
	{"6 preroot saw an empty old root", "preroot-report", `{"handover"`, `{"failure":"no init","handover"`, "no init"},
	{"6 preroot saw an empty old root", "preroot-report", `{"handover"`, `{{`, "invalid"},
	{"6 preroot's record is as docs/report.schema.json says", "preroot-report", `"devices"`, `"disks"`, "devices is missing"},
	{"6 preroot's record is as docs/report.schema.json says", "preroot-report", `"others":0`, `"others":-1`, "out of range"},
	{"6 preroot's record is as docs/report.schema.json says", "preroot-report", `"version":1`, `"new":0,"version":1`, "new is not described"},
	{"6 preroot's record has devices, steps, versions and who gave the root hash", "preroot-report", `"use":"root"`, `"use":"boot"`, "no root among the devices"},
	{"6 preroot's record has devices, steps, versions and who gave the root hash", "preroot-report", `"systemd":262`, `"systemd":261`, "systemd 261, want 262"},
	{"6 preroot's record has devices, steps, versions and who gave the root hash", "preroot-report", `"find devices"`, `"look for devices"`, "no step"},
	{"6 preroot's record has devices, steps, versions and who gave the root hash", "preroot-report", `usrhash= on`, `it was on`, "it was on"},
	{"6 the journal of the real root has preroot's messages, the first and the last", "early-kernel", "preroot: starting on", "kernel: starting on", "starting on Linux"},
	{"6 the journal of the real root has preroot's messages, the first and the last", "early-kernel", "; executing", "; starting", "executing"},
	{"6 no helper mount is left when systemd starts", "mountinfo-start", " /run rw", " /run/preroot/layers rw", "/run/preroot/layers"},
	{"6 no helper mount is left at the end of the start", "mountinfo", "- tmpfs tmpfs rw,size", "- rootfs rootfs rw,size", "rootfs"},
	{"6 no helper mount is left at the end of the start", "mountinfo", " /tmp ", " /etc ", "2 mounts at /etc"},
	{"6 /proc has systemd's mount options", "mount-options", "/proc proc proc rw,nosuid", "/proc proc proc rw", "want proc with"},
	{"6 /sys has systemd's mount options", "mount-options", "/sys sysfs sysfs rw,nosuid,nodev,noexec,relatime", "/sys sysfs sysfs rw,nosuid,nodev,noexec,noatime", "noatime"},
	{"6 /dev has systemd's mount options", "mount-options", "/dev devtmpfs devtmpfs rw,nosuid rw", "/dev devtmpfs devtmpfs rw,nosuid,relatime rw", "want devtmpfs"},
	{"6 /run has systemd's mount options", "mount-options", "nr_inodes=819200", "nr_inodes=1000", "lacks nr_inodes=819200"},
	{"6 /run has systemd's mount options", "mount-options", "/run tmpfs", "/elsewhere tmpfs", "0 mounts at /run"},
	{"6 /run may grow to a fifth of the memory", "mount-options", "size=403376k", "size=1008436k", "size 1008436 kB"},
	{"6 /run may grow to a fifth of the memory", "memory", "MemTotal", "Mem", "no MemTotal"},
	{"7 this is the kernel that was to be tested", "versions", "kernel 7.2", "kernel 6.12", "want kernel 7.2"},
	{"7 the root was switched in the way that this kernel allows", "preroot-report", `"pivot_root"`, `"move"`, "want pivot_root"},
	{"7 systemd is 262 or newer", "versions", "systemd 262", "systemd 261", "261"},
	{"7 systemd is 262 or newer", "versions", "systemd 262", "systemd v", "systemd"},
}

func TestMachineIDOfAFirstBootIsSystemds(t *testing.T) {
	shown := tableMount{root: "/machine-id", target: "/etc/machine-id", kind: "tmpfs", source: "tmpfs"}
	if strange := strangeMounts([]tableMount{shown}); len(strange) > 0 {
		t.Error(strange)
	}
	shown.root = "/other"
	if strange := strangeMounts([]tableMount{shown}); len(strange) != 1 {
		t.Error(strange)
	}
}

func TestEveryPointFailsOnItsDamage(t *testing.T) {
	sample := readSample(t)
	covered := map[string]bool{}
	for _, d := range damages {
		covered[d.point] = true
		t.Run(d.point+"/"+d.section+" "+d.new, func(t *testing.T) {
			damaged := damage(t, sample, d.section, d.old, d.new)
			for point, f := range checkSample(t, damaged) {
				switch {
				case point == d.point && f.OK:
					t.Errorf("still proved: %s", f.Detail)
				case point == d.point && !strings.Contains(f.Detail, d.detail):
					t.Errorf("detail %q does not say %q", f.Detail, d.detail)
				}
			}
		})
	}
	for point := range checkSample(t, sample) {
		if !covered[point] {
			t.Errorf("no damage makes %q fail", point)
		}
	}
}

// damage replaces a text in one section of a report, or in the whole console
// when the section has no name. An empty old text stands for the section's
// beginning.
func damage(t *testing.T, console, section, old, replacement string) string {
	t.Helper()
	begin, end := 0, len(console)
	if section != "" {
		header := "\n--- " + section + "\n"
		begin = strings.Index(console, header)
		if begin < 0 {
			t.Fatalf("the sample has no section %q", section)
		}
		begin += len(header)
		end = begin + strings.Index(console[begin-1:]+"\n--- ", "\n--- ")
		end = min(end, len(console))
	}
	part := console[begin:end]
	if !strings.Contains(part, old) {
		t.Fatalf("section %q has no %q", section, old)
	}
	return console[:begin] + strings.Replace(part, old, replacement, 1) + console[end:]
}

func TestMissingSectionsAreNamed(t *testing.T) {
	r, err := Parse("TESTBED-BEGIN\nTESTBED-END\n")
	if err != nil {
		t.Fatal(err)
	}
	findings := Check(r, sampleRelease)
	if len(Failed(findings)) != len(findings) {
		t.Errorf("an empty report proves something: %v", findings)
	}
	for _, f := range findings {
		if !strings.Contains(f.Detail, "no section") && !strings.Contains(f.Detail, "no mark") {
			t.Error(f)
		}
	}
}

func TestSwitchBeforeKernel7IsAMove(t *testing.T) {
	moved := strings.Replace(readSample(t), `"pivot_root"`, `"move"`, 1)
	for release, sample := range map[string]string{"6.12.107": moved, "7.2.12": readSample(t)} {
		r, err := Parse(sample)
		if err != nil {
			t.Fatal(err)
		}
		findings := Check(r, release)
		if f := findings[len(findings)-1]; !f.OK {
			t.Errorf("%s: %s", release, f)
		}
	}
}
