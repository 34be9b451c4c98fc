package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// accountFiles are all that a new root has in its own /etc.
var accountFiles = []string{"group", "gshadow", "passwd", "shadow"}

// here is where users change things.
const here = "/scenario/"

func lines(name string) []string { return strings.Split(strings.TrimSpace(read(name)), "\n") }

// notAccounts leaves out what lies above the reference by intent.
func notAccounts(path string) bool { return slices.Contains(accountFiles, path) }

// judgeFirst looks at the first boot of an empty root.
func judgeFirst(j *judge) {
	overlay := wantOneOverlay("/etc", "rw")
	j.look()
	r := readReport()
	j.check("the boot went well", r.wantDecision("confext", "00-flatcar-default", true, ""), r.wantDecision("sysext", "docker-flatcar", true, ""))
	j.check("E1 /etc is complete", sameTree(reference, merged, notAccounts))
	j.check("E1 the bare upper has the accounts alone", wantList(bare, accountFiles))
	for _, file := range []string{"passwd", "shadow"} {
		text := "\n" + read(merged+"/"+file)
		if !strings.Contains(text, "\nroot:") || !strings.Contains(text, "\ncore:") {
			j.check("E1 accounts in "+file, text)
			continue
		}
		j.check("E1 accounts in " + file)
	}
	j.check("E1 base directories", wantMode("/var/log/journal", 0o2755, 0, groupID("systemd-journal")), wantMode("/home/core", 0o755, 500, 500),
		wantMode("/home/core/.bashrc", 0o644, 500, 500), wantLink("/sbin", "usr/sbin"), wantMode("/tmp", 0o1777, 0, 0))
	j.check("E1 the mutable directory is a link to /etc", wantLink("/var/lib/extensions.mutable/etc", "/etc"))
	j.check("E1 /etc is one overlay that takes writes", overlay)
	j.check("sysexts of the image", wantText("/usr/share/docker", "built in"), wantText("/usr/share/containerd", "built in"))
	j.check("a confext of the image", wantText(merged+"/scenario-masked", "masked"))
}

// groupID reads a group's number of the merged /etc; -1 if there is none.
func groupID(name string) int {
	for _, line := range lines("/usr/share/baselayout/group") {
		if fields := strings.Split(line, ":"); fields[0] == name && len(fields) > 2 {
			number := 0
			for _, digit := range fields[2] {
				number = 10*number + int(digit-'0')
			}
			return number
		}
	}
	return -1
}

// loopsAndOverlays are those in use now.
func loopsAndOverlays() (loops, overlays int) {
	entries, err := os.ReadDir("/sys/block")
	must(err)
	for _, entry := range entries {
		if exists("/sys/block/" + entry.Name() + "/loop") {
			loops++
		}
	}
	return loops, strings.Count(read("/proc/self/mountinfo"), " - overlay ")
}

// loopFiles says what the loop devices are for.
func loopFiles() string {
	var text strings.Builder
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	must(err)
	for _, file := range files {
		device := filepath.Dir(filepath.Dir(file))
		holders, _ := filepath.Glob(device + "/holders/*")
		partitions, _ := filepath.Glob(device + "/loop*p*/holders/*")
		fmt.Fprintf(&text, "%s: %s %d holders; ", filepath.Base(device), strings.TrimSpace(read(file)), len(holders)+len(partitions))
	}
	return text.String()
}

// wantNoGrowth lets systemd merge sysexts again and again: the first time over our merge, then over its own.
func wantNoGrowth() string {
	var counts []string
	var said string
	refresh := func() {
		said += output("/usr/bin/systemd-sysext", "refresh", "--no-reload", "--always-refresh=yes")
		// The kernel lets go of devices a little later.
		time.Sleep(time.Second)
		loops, overlays := loopsAndOverlays()
		counts = append(counts, fmt.Sprintf("%d loops, %d overlays", loops, overlays))
	}
	loops, overlays := loopsAndOverlays()
	refresh()
	if loopsAfter, overlaysAfter := loopsAndOverlays(); loopsAfter == 0 || loopsAfter > loops || overlaysAfter != overlays {
		return fmt.Sprintf("%d loops, %d overlays before, %s after: %s", loops, overlays, counts[0], loopFiles())
	}
	for range 3 {
		refresh()
	}
	for _, count := range counts {
		if count != counts[0] {
			return strings.Join(counts, "; ") + ": " + said
		}
	}
	if !strings.Contains(said, "Merged extensions into '/usr'") {
		return "nothing was merged: " + said
	}
	return ""
}

// judgeAgain looks at the second boot, and then changes things as users do.
func judgeAgain(j *judge) {
	j.check("S7 loops and overlays do not grow", wantNoGrowth(), wantText("/usr/share/docker", "built in"))
	j.editMerged()
	j.look()
	j.check("E2 /etc is complete", sameTree(reference, merged, func(p string) bool {
		return notAccounts(p) || strings.HasPrefix(p, "scenario") || p == "resolv.conf" || strings.HasPrefix(p, "extensions")
	}))
	unmerge()
	j.editByOldOverlay()
	j.plantExtensions()
	j.plantUpper()
}

// editMerged is what a user does in /etc. What was there before is judged first: see E2.
func (j *judge) editMerged() {
	etc := "/etc" + here
	before := list("/etc")
	// The upper directory of the first boot had nothing else; what the second one added shows in no other way once it is edited.
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(os.MkdirAll("/run/judge/root", 0o755))
	must(unix.Mount("/", "/run/judge/root", "", unix.MS_BIND, ""))
	j.check("E2 nothing is new in the bare upper", wantList("/run/judge/root/etc", accountFiles))
	must(unix.Unmount("/run/judge/root", unix.MNT_DETACH))
	if len(before) < 100 {
		panic("there is next to nothing in /etc")
	}

	must(os.Chmod(etc+"E5-mode", 0o600))
	must(os.Chown(etc+"E5-owner", 5, 5))
	write(etc+"E5-byte", "shippeD\n")
	link("other", etc+"E5-target")
	must(os.RemoveAll(etc + "E6"))
	must(os.Mkdir(etc+"E6", 0o755))
	must(os.RemoveAll(etc + "E7"))
	write(etc+"E7/same", "shipped\n")
	write(etc+"E7/own", "mine\n")
	must(os.Remove(etc + "E8"))
	must(os.Remove(etc + "E9"))
	must(os.Remove("/etc/resolv.conf"))
	must(os.RemoveAll(etc + "E10"))
	write("/etc/scenario-edited", "user\n")
	write(etc+"E29.sh", "#!/bin/sh\nexit 7\n")
	must(os.Chmod(etc+"E29.sh", 0o755))
	link("/dev/null", "/etc/extensions/containerd-flatcar.raw")
	link("/dev/null", "/etc/extensions/docker-flatcar.raw")
	write("/etc/extensions/docker/usr/lib/extension-release.d/extension-release.docker", "ID=_any\n")
	write("/etc/extensions/docker/usr/share/docker", "own\n")
}

// acl lets user 5 read (acl(5); the attribute's layout is that of linux/posix_acl_xattr.h).
func acl() []byte {
	text := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, permissions uint16
		id               uint32
	}{{1, 6, ^uint32(0)}, {2, 4, 5}, {4, 4, ^uint32(0)}, {0x10, 4, ^uint32(0)}, {0x20, 4, ^uint32(0)}} {
		text = binary.LittleEndian.AppendUint16(text, e.tag)
		text = binary.LittleEndian.AppendUint16(text, e.permissions)
		text = binary.LittleEndian.AppendUint32(text, e.id)
	}
	return text
}

// editByOldOverlay is what a user did before the image had confexts.
func (j *judge) editByOldOverlay() {
	end := oldOverlay()
	defer end()
	etc := "/etc" + here
	write(etc+"E14-new", "mine\n")
	must(os.Remove(etc + "E14-deleted"))
	must(os.Rename(etc+"E14-renamed", etc+"E14-moved"))
}

// plantExtensions puts images of all kinds of users into their places.
func (j *judge) plantExtensions() {
	const confexts, sysexts = "/var/lib/confexts/", "/var/lib/extensions/"
	confext := func(name, release string, files map[string]string) {
		write(confexts+name+"/etc/extension-release.d/extension-release."+name, release)
		for path, text := range files {
			write(confexts+name+"/etc/"+path, text)
		}
	}
	confext("10-x", "ID=_any\n", map[string]string{"scenario/order": "10-x\n", "scenario-edited": "10-x\n", "scenario-both": "10-x\n"})
	confext("20-y", "ID=_any\n", map[string]string{"scenario-both": "20-y\n"})
	confext("x", "ID=_any\n", map[string]string{"scenario/order": "x\n", "scenario-x": "x\n"})
	for name, release := range map[string]string{
		"wrong-id": "ID=another\n", "wrong-version": "ID=testbed\nVERSION_ID=9\n", "wrong-architecture": "ID=_any\nARCHITECTURE=arm64\n",
	} {
		confext(name, release, map[string]string{"scenario-" + name: name + "\n"})
	}
	must(os.MkdirAll(confexts+"05-masked", 0o755))
	// No damaged confext: systemd's own refresh would fail altogether.
	must(os.MkdirAll(confexts, 0o755))
	must(os.WriteFile(confexts+"user.raw", []byte(read("/opt/user.raw")), 0o644))
	write(sysexts+"damaged.raw", strings.Repeat("no image ", 1<<12))
	write(sysexts+"s1/usr/lib/extension-release.d/extension-release.s1", "ID=_any\n")
	write(sysexts+"s1/usr/share/s1", "s1\n")
}

// plantUpper makes the bare upper directory that of an old machine, and notes what must be left of it.
func (j *judge) plantUpper() {
	for _, file := range []string{"group", "gshadow"} {
		var kept []string
		for _, line := range lines("/etc/" + file) {
			if !strings.HasPrefix(line, "core:") {
				kept = append(kept, line)
			}
		}
		write("/etc/"+file, strings.Join(append([]string{"mine:x:999:"}, kept...), "\n")+"\n")
		must(os.Chmod("/etc/"+file, 0o600))
	}
	// Not in the merged one: overlayfs takes no ACL for a file that still lies on an erofs.
	write("/etc"+here+"E5-ACL", "shipped\n")
	must(unix.Setxattr("/etc"+here+"E5-ACL", "system.posix_acl_access", acl(), 0))
	var left []string
	for _, p := range list("/etc") {
		if p != "resolv.conf" && p != "scenario/E9" {
			left = append(left, p)
		}
	}
	write(notes+"/left", strings.Join(left, "\n"))
	whiteout("/etc/passwd")
	must(os.Remove("/etc/shadow"))
	write("/etc/machine-id", "42000000000000000000000000000042\n")
	copyMissing(reference, "/etc")
	for _, p := range []string{"/etc/hostname", "/etc/scenario/E3/empty", "/etc/scenario/E3/link", "/etc/scenario/E3/file"} {
		if !exists(p) {
			panic(p + " was not planted")
		}
	}
	// As a crash leaves it.
	work := "/.systemd-etc-workdir/work"
	must(os.MkdirAll(work+"/#1", 0o755))
	write(work+"/#1/half", "half")
	must(unix.Mknod(work+"/#2", unix.S_IFCHR, 0))
	must(os.Chmod(work, 0))
}

// judgeEdited looks at what became of all that.
func judgeEdited(j *judge) {
	exit := 0
	if err := exec.Command("/etc" + here + "E29.sh").Run(); err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			exit = failed.ExitCode()
		}
	}
	if exit == 7 {
		j.check("E29 a program in /etc runs")
	} else {
		j.check("E29 a program in /etc runs", "it does not")
	}
	overlay, skips := wantOneOverlay("/etc", "rw"), wantRefreshSkips("confext")
	j.look()
	r := readReport()
	see, own := merged+here, bare+here
	j.check("E3 identical copies are gone", wantGone(own+"E3", own+"E5-directory"), sameTree(reference+here+"E3", see+"E3", nil))
	j.check("E5 mode", wantMode(own+"E5-mode", 0o600, 0, 0))
	j.check("E5 owner", wantMode(own+"E5-owner", 0o644, 5, 5))
	kept := make([]byte, 64)
	if n, err := unix.Getxattr(own+"E5-ACL", "system.posix_acl_access", kept); err != nil || string(kept[:n]) != string(acl()) {
		j.check("E5 ACL", "it has another one")
	} else {
		j.check("E5 ACL")
	}
	j.check("E5 byte", wantText(own+"E5-byte", "shippeD"))
	j.check("E5 target", wantLink(own+"E5-target", "other"))
	j.check("E6 an emptied directory stays empty", wantList(strings.TrimSuffix(see+"E6", "/"), nil), wantOpaque(own+"E6"))
	j.check("E7 a directory made again stays as it is", wantList(see+"E7", []string{"own", "same"}), wantList(own+"E7", []string{"own", "same"}))
	whiteoutOf := func(name string) string {
		if !isWhiteout(own + name) {
			return "no whiteout " + own + name
		}
		return ""
	}
	j.check("E8 a deleted file stays deleted", wantGone(see+"E8"), whiteoutOf("E8"))
	j.check("E9 what a rule makes is there again", wantText(see+"E9", "shipped"), wantLink(merged+"/resolv.conf", "../run/systemd/resolve/resolv.conf"),
		wantGone(own+"E9", bare+"/resolv.conf"))
	j.check("E10 a deleted directory stays deleted", wantGone(see+"E10"), whiteoutOf("E10"))
	j.check("E11 passwd and shadow are made again", wantAccounts(merged+"/passwd"), wantAccounts(merged+"/shadow"), wantMode(bare+"/passwd", 0o644, 0, 0), wantMode(bare+"/shadow", 0o640, 0, 0))
	j.check("E12 a missing line is added", wantAdded("group"), wantAdded("gshadow"))
	j.check("E13 what is left of a full /etc are the changes", wantList(bare, lines(notes+"/left")))
	j.check("E14 changes of the hand-made overlay are kept", wantText(see+"E14-new", "mine"), wantGone(see+"E14-deleted", see+"E14-renamed"),
		wantText(see+"E14-moved/lower", "shipped"), wantThere("/.etc-work/work"))
	j.check("E18 10-x lies above the default, x below it", wantText(see+"order", "10-x"), wantText(merged+"/scenario-x", "x"), wantText(merged+"/scenario-edited", "user"),
		wantSaid(r.Warnings, "are hidden by others of their name"), skips)
	user := r.wantDecision("confext", "user", true, "")
	for _, m := range r.Merges {
		for _, d := range m.Decisions {
			if d.Name == "user" && d.Signature != "accepted by a certificate" {
				user = "the signature of user.raw: " + d.Signature + ": " + d.SignatureNote
			}
		}
	}
	j.check("E19 a signed confext is merged", wantText(merged+"/testbed-user", "user"), user)
	j.check("E20 the higher name wins", wantText(merged+"/scenario-both", "20-y"))
	j.check("E21 what does not fit is left out", wantGone(merged+"/scenario-wrong-id", merged+"/scenario-wrong-version", merged+"/scenario-wrong-architecture"),
		r.wantDecision("confext", "wrong-id", false, "ID=another"), r.wantDecision("confext", "wrong-version", false, "VERSION_ID"), r.wantDecision("confext", "wrong-architecture", false, "ARCHITECTURE"))
	j.check("E22 an empty directory masks", wantGone(merged+"/scenario-masked"))
	j.check("E30 a blank machine id is gone", wantGone(bare+"/machine-id", merged+"/machine-id"))
	j.check("E35 a work directory of a crash does no harm", overlay, wantText(notes+"/left", strings.Join(lines(notes+"/left"), "\n")), wantGone("/.systemd-etc-workdir/work/#1"))
	j.check("S1 a directory sysext is merged", wantText("/usr/share/s1", "s1"))
	j.check("S2 a link to /dev/null switches a sysext off", wantGone("/usr/share/containerd"))
	j.check("S3 one's own docker replaces the built-in one", wantText("/usr/share/docker", "own"))
	j.check("S6 a damaged image is left out", r.wantDecision("sysext", "damaged", false, ""))

	before := map[string]string{}
	for _, p := range list(strings.TrimSuffix(see, "/")) {
		before[p] = read(see + p)
	}
	unmerge()
	end := oldOverlay()
	delete(before, "order") // of a confext
	problem := ""
	if len(before) < 10 {
		problem = "next to nothing is compared"
	}
	after := list(strings.TrimSuffix("/etc"+here, "/"))
	for _, p := range after {
		if p != "order" && read("/etc"+here+p) != strings.ReplaceAll(before[p], merged, "/etc") {
			problem = p + " differs"
		}
	}
	if len(after) != len(before)+1 {
		problem = "the old overlay shows other names"
	}
	end()
	j.check("E15 the old overlay shows the same", problem)
	j.plantOther()
}

// wantRefreshSkips lets systemd say that it finds nothing to do.
func wantRefreshSkips(class string) string {
	said := output("/usr/bin/systemd-"+class, "refresh", "--no-reload")
	if !strings.Contains(said, "Skipping extension refresh because no change was found") {
		return "systemd's refresh: " + said
	}
	return ""
}

func wantAccounts(name string) string {
	text := "\n" + read(name)
	if !strings.Contains(text, "\nroot:") || !strings.Contains(text, "\ncore:") {
		return name + " is " + text
	}
	return ""
}

// wantAdded wants the line of core to be the only new one, at the end, in a file that kept its mode.
func wantAdded(file string) string {
	all := lines(bare + "/" + file)
	if all[0] != "mine:x:999:" || !strings.HasPrefix(all[len(all)-1], "core:") || strings.Count(read(bare+"/"+file), "core:") < 1 {
		return file + ": " + strings.Join(all, " | ")
	}
	return wantMode(bare+"/"+file, 0o600, 0, 0)
}
