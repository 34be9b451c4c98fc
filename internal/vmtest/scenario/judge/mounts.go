package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Places of the judge. After look, the merged /etc is at merged and /etc is the bare upper directory.
const (
	merged    = "/run/judge/merged"
	bare      = "/etc"
	reference = "/usr/share/flatcar/etc"
	notes     = "/var/lib/scenario"
)

// look shows the bare /etc: the overlay is detached in a namespace of the judge's own, and stays at merged there.
func (j *judge) look() {
	if os.Getpid() != 1 {
		must(unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS))
	}
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(os.MkdirAll(merged, 0o755))
	must(unix.Mount("/etc", merged, "", unix.MS_BIND, ""))
	must(unix.Unmount("/etc", unix.MNT_DETACH))
}

// unmerge ends the overlay, if the judge is all that runs: then the upper directory may be changed.
func unmerge() { must(unix.Unmount(merged, unix.MNT_DETACH)) }

// oldOverlay puts over /etc what images had there before they had confexts.
func oldOverlay() (end func()) {
	must(os.MkdirAll("/.etc-work", 0o755))
	must(unix.Mount("overlay", "/etc", "overlay", unix.MS_NOATIME,
		"lowerdir="+reference+",upperdir=/etc,workdir=/.etc-work,redirect_dir=on,metacopy=off"))
	return func() { must(unix.Unmount("/etc", 0)) }
}

// mountsAt are the lines of the mount table for a place (proc_pid_mountinfo(5)).
func mountsAt(place string) []string {
	var lines []string
	for line := range strings.Lines(read("/proc/self/mountinfo")) {
		if fields := strings.Fields(line); len(fields) > 5 && fields[4] == place {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// wantOneOverlay wants a place to be one overlay and nothing else; mode is rw or ro.
func wantOneOverlay(place, mode string) string {
	lines := mountsAt(place)
	if len(lines) != 1 || !strings.Contains(lines[0], " - overlay ") {
		return fmt.Sprintf("mounts at %s: %q", place, lines)
	}
	if options := strings.Fields(lines[0])[5]; !strings.HasPrefix(options+",", mode+",") {
		return fmt.Sprintf("%s is mounted %s, want %s", place, options, mode)
	}
	return ""
}

// uniqueMountID is that of statx(2), which names a mount for as long as the machine runs; 0 if there is none.
func uniqueMountID(place string) uint64 {
	const statxMountIDUnique = 0x4000
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, place, 0, statxMountIDUnique, &st) != nil || st.Mask&statxMountIDUnique == 0 {
		return 0
	}
	return st.Mnt_id
}

// report is what the judge reads of preroot's report.
type report struct {
	Warnings []string
	Failure  string
	MountIDs map[string]uint64
	Usr      struct{ RootHash, FileSystem string }
	Rules    struct{ Notes []string }
	Merges   []struct {
		Class     string
		Shadows   []string
		Decisions []struct {
			Name, Reason, Signature, SignatureNote string
			Accepted                               bool
		}
	}
}

func readReport() report {
	var r report
	must(json.Unmarshal([]byte(read("/run/preroot/report.json")), &r))
	return r
}

// wantDecision wants an image to be taken, or left out for a reason with this in it.
func (r report) wantDecision(class, name string, accepted bool, reason string) string {
	for _, m := range r.Merges {
		if m.Class != class {
			continue
		}
		for _, d := range m.Decisions {
			if d.Name != name {
				continue
			}
			if d.Accepted != accepted || !strings.Contains(d.Reason, reason) {
				return fmt.Sprintf("%s %s: accepted %v, %q; want %v, %q", class, name, d.Accepted, d.Reason, accepted, reason)
			}
			return ""
		}
	}
	return fmt.Sprintf("the report says nothing of the %s %s", class, name)
}

// wantSaid wants one of the texts to contain a part.
func wantSaid(texts []string, part string) string {
	for _, text := range texts {
		if strings.Contains(text, part) {
			return ""
		}
	}
	return fmt.Sprintf("%q is not among %q", part, texts)
}

// output runs a program of the root.
func output(name string, arguments ...string) string {
	text, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s<%s: %v>", text, name, err)
	}
	return string(text)
}
