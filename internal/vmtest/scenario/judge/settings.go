package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Places of the scenarios about resets and settings.
const (
	mutable = "/var/lib/extensions.mutable/etc"
	flag    = "/selective-os-reset"
	mask    = "/etc/systemd/system/systemd-sysext.service"
)

// plantOther prepares a frozen copy, another mutable directory, a switched-off sysext service, and a flag that cannot be read.
func (j *judge) plantOther() {
	must(os.Mkdir(bare+here+"E3", 0o755))
	write(bare+here+"E3/file", "shipped\n")
	must(os.Mkdir(bare+here+"E3/empty", 0o755))
	write(bare+"/.no-dup-update", "")
	link("/var/lib/other-etc", mutable)
	write("/var/lib/other-etc/scenario-other", "other\n")
	must(os.Chmod("/var/lib/other-etc", 0o755))
	link("/dev/null", mask)
	write(flag, "/etc/(keep")
	write("/home/you", "mine\n")
}

// judgeOther looks at that.
func judgeOther(j *judge) {
	overlay := wantOneOverlay("/etc", "rw")
	usr := mountsAt("/usr")
	write("/etc/scenario-written", "written\n")
	j.look()
	r := readReport()
	j.check("E4 identical copies are kept where somebody says so", wantText(bare+here+"E3/file", "shipped"), wantThere(bare+here+"E3/empty"))
	j.check("E25 another mutable directory is used", overlay, wantText(merged+"/scenario-other", "other"), wantLink(mutable, "/var/lib/other-etc"),
		wantText("/var/lib/other-etc/scenario-written", "written"), wantGone(bare+"/scenario-written"))
	problem := ""
	if len(usr) != 1 || strings.Contains(usr[0], " - overlay ") {
		problem = strings.Join(usr, "\n")
	}
	j.check("S5 a masked service means no merge", problem, wantGone("/usr/share/s1", "/usr/.systemd-sysext"), wantSaid(r.Warnings, "systemd-sysext.service"))
	j.check("O4 an expression that cannot be read deletes nothing", wantText("/home/you", "mine"), wantText(flag, "/etc/(keep"), wantSaid(r.Rules.Notes, "NOTHING IS RESET"),
		wantSaid(r.Warnings, "NOTHING IS RESET"))
	unmerge()
	must(os.Remove(mask))
	must(os.Remove(bare + "/.no-dup-update"))
	must(os.RemoveAll(bare + "/machine-id"))
	link("/nowhere", mutable)
	write(flag, "")
}

// judgeDangling looks at a mutable directory that is not there, and at an empty flag.
func judgeDangling(j *judge) {
	overlay := wantOneOverlay("/etc", "ro")
	written := ""
	if err := os.WriteFile("/etc/scenario-written", nil, 0o644); !errors.Is(err, unix.EROFS) {
		written = fmt.Sprintf("a write: %v", err)
	}
	j.look()
	r := readReport()
	j.check("E26 with a dangling link /etc takes no writes", overlay, written, wantLink(mutable, "/nowhere"), wantText(merged+"/testbed-default", "default"),
		wantText(merged+"/scenario-edited", "10-x"), wantSaid(r.Warnings, mutable))
	j.check("E31b an /etc that takes no writes has an empty machine-id", wantText(merged+"/machine-id", ""), wantText(bare+"/machine-id", ""))
	j.check("O3 an empty flag does nothing", wantText("/home/you", "mine"), wantThere(flag))
	unmerge()
	link("/etc", mutable)
	for _, p := range []string{"/etc/keep-file", "/etc/lose-file", "/var/lib/keep-directory/below/file", "/var/lib/lose-directory/below/file", "/home/b", "/home/d"} {
		write(p, "mine\n")
	}
	write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
	// As flatcar-reset writes it.
	write(flag, `/opt/judge|/etc/keep-file|/etc/keep-file/.*|/var/lib/keep-directory|/var/lib/keep-directory/.*|/home/[a-c]|/flatcar-backup|/flatcar-backup/.*|/selective-os-reset`+"\n")
}

// judgeReset looks at what a reset has left.
func judgeReset(j *judge) {
	overlay := wantOneOverlay("/etc", "rw")
	j.look()
	j.check("O1 what is to be kept is kept, all else goes",
		wantText("/etc/keep-file", "mine"), wantText("/var/lib/keep-directory/below/file", "mine"), wantText("/home/b", "mine"),
		wantGone("/etc/lose-file", "/var/lib/lose-directory", "/home/d", "/home/you", flag, bare+"/machine-id", "/var/lib/confexts", "/var/lib/extensions", "/.etc-work", notes),
		wantList(bare, append([]string{"keep-file"}, accountFiles...)), overlay, sameTree(reference, merged, notAccounts))
	j.check("O5 /usr and what lies in memory is not touched", wantThere("/usr/lib/os-release", "/run/preroot/report.json", "/dev/null"))
	unmerge()
	must(os.MkdirAll("/var/lib/confexts/00-flatcar-default", 0o755))
}

// changes are what a user of an old machine has in /etc, for the scenario of power cuts.
var changes = []string{"scenario", "scenario/E5-byte", "scenario/mine"}

// linger does nothing: the machine is about to be cut off.
func linger(*judge) { time.Sleep(time.Minute) }

// prepareOld makes the root that of an old machine with a full copy of /etc.
func prepareOld(j *judge) {
	j.look()
	unmerge()
	write("/etc/scenario/E5-byte", "shippeD\n")
	write("/etc/scenario/mine", "mine\n")
	copyMissing(reference, "/etc")
	j.check("a full /etc is there", wantThere("/etc/hostname", "/etc/scenario/E3/file"))
}

// judgeConverged looks at it after power cuts.
func judgeConverged(j *judge) {
	j.look()
	j.check("E34 after power cuts the rules come to the same result", wantList(bare, append(append([]string{}, changes...), accountFiles...)),
		wantText(bare+"/scenario/E5-byte", "shippeD"), wantText(bare+"/scenario/mine", "mine"),
		wantAccounts(bare+"/passwd"), wantAccounts(bare+"/shadow"), wantGone(bare+"/.preroot-new.passwd"))
}
