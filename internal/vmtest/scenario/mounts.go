package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// mount is a line of findmnt --raw with the columns TARGET, FSTYPE, SOURCE,
// VFS-OPTIONS, FS-OPTIONS.
type mount struct {
	target, kind, source string
	vfs, fs              []string
}

func (r *Report) mounts(section string) ([]mount, error) {
	lines, err := r.Lines(section)
	if err != nil {
		return nil, err
	}
	var list []mount
	for _, line := range lines {
		fields := strings.Split(line, " ")
		if len(fields) < 4 {
			return nil, fmt.Errorf("%s: %q is no line of findmnt", section, line)
		}
		m := mount{target: fields[0], kind: fields[1], source: fields[2], vfs: strings.Split(fields[3], ",")}
		if len(fields) > 4 {
			m.fs = strings.Split(fields[4], ",")
		}
		list = append(list, m)
	}
	return list, nil
}

// oneOverlay wants exactly one overlay among the mounts of a section, and no
// other mount when alone is set.
func (r *Report) oneOverlay(section string, alone bool) (mount, error) {
	list, err := r.mounts(section)
	if err != nil {
		return mount{}, err
	}
	var overlays []mount
	for _, m := range list {
		if m.kind == "overlay" {
			overlays = append(overlays, m)
		}
	}
	if len(overlays) == 1 && overlays[0].source == "" {
		return mount{}, fmt.Errorf("%s: an overlay without a source", section)
	}
	if len(overlays) != 1 || (alone && len(list) != 1) {
		return mount{}, fmt.Errorf("%s: %d mounts, %d of them overlays; want exactly one overlay", section, len(list), len(overlays))
	}
	return overlays[0], nil
}

// tableMount is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)), as far
// as the checks need it.
type tableMount struct{ root, target, kind, source string }

func (r *Report) mountTable(section string) ([]tableMount, error) {
	lines, err := r.Lines(section)
	if err != nil {
		return nil, err
	}
	var table []tableMount
	for _, line := range lines {
		before, after, found := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !found || len(left) < 6 || len(right) < 2 {
			return nil, fmt.Errorf("%s: %q is no line of mountinfo", section, line)
		}
		table = append(table, tableMount{root: left[3], target: left[4], kind: right[0], source: right[1]})
	}
	if len(table) == 0 {
		return nil, fmt.Errorf("%s is empty", section)
	}
	return table, nil
}

// twice are the places where two mounts belong: the sysext's overlay over the
// verified file system, and the kernel's over systemd's automount.
var twice = []string{"/usr", "/proc/sys/fs/binfmt_misc"}

// usualTargets are the places where a booted guest has mounts, usualFolders
// those below which systemd makes its own.
var (
	usualTargets = []string{
		"/", "/usr", "/etc", "/etc/.systemd-confext", "/usr/.systemd-sysext",
		"/proc", "/sys", "/dev", "/run", "/tmp", "/mnt/from-confext",
		"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/hugepages", "/proc/sys/fs/binfmt_misc",
		"/run/lock", "/run/user/0", "/oem",
	}
	usualFolders = []string{"/sys/", "/run/credentials/"}
)

// transientID is the mount by which systemd shows a new machine id from /run during a first boot, until it writes it to the disk
// (machine-id(5), "First Boot Semantics").
func transientID(source string) tableMount {
	return tableMount{root: "/machine-id", target: "/etc/machine-id", kind: "tmpfs", source: source}
}

// strangeMounts lists what a mount table has that no systemd would have made:
// helper mounts of an initramfs, its root, or a second mount on a place.
func strangeMounts(table []tableMount) []string {
	var strange []string
	count := map[string]int{}
	for _, m := range table {
		count[m.target]++
		usual := slices.Contains(usualTargets, m.target)
		for _, folder := range usualFolders {
			usual = usual || strings.HasPrefix(m.target, folder)
		}
		usual = usual || m == transientID(m.source)
		if !usual || m.kind == "rootfs" || m.kind == "ramfs" {
			strange = append(strange, fmt.Sprintf("%s (%s, %s)", m.target, m.kind, m.source))
		}
	}
	for target, n := range count {
		if n > 1 && (n > 2 || !slices.Contains(twice, target)) {
			strange = append(strange, fmt.Sprintf("%d mounts at %s", n, target))
		}
	}
	slices.Sort(strange)
	return strange
}

// sizeOf reads an option size=123k as KiB.
func sizeOf(options []string) (int64, bool) {
	for _, option := range options {
		if text, found := strings.CutPrefix(option, "size="); found {
			size, err := strconv.ParseInt(strings.TrimSuffix(text, "k"), 10, 64)
			return size, err == nil && strings.HasSuffix(text, "k")
		}
	}
	return 0, false
}
