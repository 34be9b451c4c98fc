package main

import (
	"fmt"
	"os"
	"strings"
)

const firstBoots = "/var/lib/scenario/first-boots"

// prepareBlank gives the root a blank id, a confext with a unit for first boots, and a sysext with a unit.
func prepareBlank(j *judge) {
	j.look()
	unmerge()
	write("/etc/machine-id", "42000000000000000000000000000042\n")
	const confext, sysext = "/var/lib/confexts/first/etc/", "/var/lib/extensions/s1/usr/"
	write(confext+"extension-release.d/extension-release.first", "ID=_any\n")
	write(confext+"systemd/system/first-boot.service", "[Unit]\nConditionFirstBoot=yes\nAfter=local-fs.target\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'mkdir -p "+
		notes+"; echo once >>"+firstBoots+"'\n")
	link("../first-boot.service", confext+"systemd/system/scenario.service.wants/first-boot.service")
	write(confext+"systemd/system/scenario.service.d/after.conf", "[Unit]\nAfter=first-boot.service s1.service\n")
	write(sysext+"lib/extension-release.d/extension-release.s1", "ID=_any\nEXTENSION_RELOAD_MANAGER=1\n")
	write(sysext+"lib/systemd/system/s1.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo ran >/run/s1'\n")
	link("../s1.service", sysext+"lib/systemd/system/scenario.target.wants/s1.service")
	j.check("the root is prepared")
}

// wantID wants a committed id in the merged and in the bare /etc, and returns it.
func wantID() (id, problem string) {
	id = strings.TrimSpace(read(bare + "/machine-id"))
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || strings.HasPrefix(id, "4200000000000000") {
		return id, fmt.Sprintf("machine-id is %q", id)
	}
	if info, err := os.Lstat(bare + "/machine-id"); err != nil || !info.Mode().IsRegular() {
		return id, fmt.Sprintf("machine-id: %v %v", info, err)
	}
	return id, wantText(merged+"/machine-id", id)
}

// judgeNewID looks at a first boot with systemd.
func judgeNewID(j *judge) {
	r := readReport()
	mount := ""
	if now := uniqueMountID("/etc"); now == 0 || now != r.MountIDs["/etc"] {
		mount = fmt.Sprintf("/etc is the mount %d, was %d when preroot merged it", now, r.MountIDs["/etc"])
	}
	overlay := wantOneOverlay("/etc", "rw")
	journal := output("/usr/bin/journalctl", "--sync") + output("/usr/bin/journalctl", "-b", "--no-pager", "-q")
	said := ""
	if strings.Count(journal, "Skipping extension refresh because no change was found") != 2 || strings.Contains(journal, "Merged extensions into") {
		said = "systemd did not skip twice, or merged"
	}
	j.check("E16 systemd merges nothing, and /etc is one mount from preroot on", mount, overlay, said)
	j.check("S1 a unit of a directory sysext starts with the others", wantText("/run/s1", "ran"))
	j.look()
	id, problem := wantID()
	j.check("E30 a blank id is replaced, and it is a first boot", problem, wantText(firstBoots, "once"))
	write(notes+"/id", id)
}

// judgeSameID looks at the boot after that, and puts a whiteout in the place of the id.
func judgeSameID(j *judge) {
	j.look()
	id, problem := wantID()
	j.check("E30 the next boot is no first boot", problem, wantText(notes+"/id", id), wantText(firstBoots, "once"))
	unmerge()
	whiteout(bare + "/machine-id")
}

// judgeWhiteout looks at what systemd makes of a whiteout, and has the root reset with its id kept.
func judgeWhiteout(j *judge) {
	j.look()
	id, problem := wantID()
	if id == strings.TrimSpace(read(notes+"/id")) {
		problem += "the id is the old one"
	}
	j.check("E31 a whiteout is a first boot, and the new id replaces it", problem, wantText(firstBoots, "once\nonce"))
	write("/home/you", "mine\n")
	write(flag, "/opt/judge|/selective-os-reset\n")
}

// judgeKeptID looks at the id that the kernel command line has.
func judgeKeptID(j *judge) {
	j.look()
	id, problem := wantID()
	want := ""
	for word := range strings.FieldsSeq(read("/proc/cmdline")) {
		if value, found := strings.CutPrefix(word, "systemd.machine_id="); found {
			want = value
		}
	}
	if want == "" || id != want {
		problem += fmt.Sprintf("the id is %s, want %s", id, want)
	}
	j.check("O2 the machine id of the command line outlives a reset", problem, wantGone("/home/you", notes+"/id", flag))
}
