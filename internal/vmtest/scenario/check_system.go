package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// shutdownLimit is how long the shutdown may take on the guest's clock, in
// seconds. systemd waits 90 s for a unit that does not stop; without such a
// wait an emulated guest needs 5 to 15.
const shutdownLimit = 45

var unitChecks = []check{
	{"5 dev-mapper-usr.device is active", func(e evidence) (string, error) {
		return e.expect("dev-mapper-usr", "ActiveState", "active", "SubState", "plugged")
	}},
	{"5 no unit failed", func(e evidence) (string, error) {
		if err := e.expectEmpty("failed"); err != nil {
			return "", err
		}
		return "none", e.expectEmpty("failed-end")
	}},
	{"5 systemctl is-system-running says running", func(e evidence) (string, error) {
		for _, section := range []string{"state", "state-end"} {
			text, err := e.Text(section)
			if err != nil {
				return "", err
			}
			if text != "running" {
				return "", fmt.Errorf("%s: %s", section, text)
			}
		}
		return "at the end of the start and after merging again", nil
	}},
	{"5 the shutdown waits for nothing", proveShutdown},
}

// proveShutdown takes the time between the two marks that the guest leaves in
// the kernel log after its report.
func proveShutdown(e evidence) (string, error) {
	var marks [2]float64
	for i, name := range []string{"poweroff", "shutdown"} {
		uptime, err := e.markAfter(name)
		if err != nil {
			return "", err
		}
		marks[i] = uptime
	}
	took := marks[1] - marks[0]
	if took < 0 || took > shutdownLimit {
		return "", fmt.Errorf("it took %.1f s, at most %d s are good", took, shutdownLimit)
	}
	if !slices.ContainsFunc(e.after, isMachineEnd) {
		return "", errors.New("the machine was not powered off")
	}
	return fmt.Sprintf("%.1f s", took), nil
}

func isMachineEnd(line string) bool {
	return strings.Contains(line, "reboot: Power down") || strings.Contains(line, "reboot: Restarting system")
}

// markAfter reads "testbed: mark NAME uptime=SECONDS" from the console after
// the report.
func (e evidence) markAfter(name string) (float64, error) {
	for _, line := range e.after {
		if _, text, found := strings.Cut(line, "testbed: mark "+name+" uptime="); found {
			number, _, _ := strings.Cut(text, " ")
			uptime, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return 0, fmt.Errorf("mark %s: %w", name, err)
			}
			return uptime, nil
		}
	}
	return 0, fmt.Errorf("the console has no mark %q after the report", name)
}

var remainderChecks = []check{
	{"6 preroot saw an empty old root", proveOldRoot},
	{"6 preroot's record is as docs/report.schema.json says", proveRecord},
	{"6 preroot's record has devices, steps, versions and who gave the root hash", proveRecordComplete},
	{"6 the journal of the real root has preroot's messages, the first and the last", proveJournal},
	{"6 no helper mount is left when systemd starts", func(e evidence) (string, error) {
		return e.expectUsualMounts("mountinfo-start")
	}},
	{"6 no helper mount is left at the end of the start", func(e evidence) (string, error) {
		return e.expectUsualMounts("mountinfo")
	}},
	// systemd's own options (src/shared/mount-setup.c, systemd 262).
	{"6 /proc has systemd's mount options", apiMount("/proc", "proc", []string{"rw", "nosuid", "nodev", "noexec", "relatime"})},
	{"6 /sys has systemd's mount options", apiMount("/sys", "sysfs", []string{"rw", "nosuid", "nodev", "noexec", "relatime"})},
	// The kernel ignores the size limit that systemd asks for on /dev.
	{"6 /dev has systemd's mount options", apiMount("/dev", "devtmpfs", []string{"rw", "nosuid"}, "mode=755")},
	{"6 /run has systemd's mount options", apiMount("/run", "tmpfs", []string{"rw", "nosuid", "nodev"}, "nr_inodes=819200", "mode=755")},
	{"6 /run may grow to a fifth of the memory", proveRunSize},
}

func (e evidence) expectUsualMounts(section string) (string, error) {
	table, err := e.mountTable(section)
	if err != nil {
		return "", err
	}
	if strange := strangeMounts(table); len(strange) > 0 {
		return "", fmt.Errorf("%s: %s", section, strings.Join(strange, "; "))
	}
	return fmt.Sprintf("%d mounts, all of them systemd's or asked for", len(table)), nil
}

// apiMount wants exactly these options of the mount, and these among those of
// the file system.
func apiMount(target, kind string, vfs []string, fs ...string) func(evidence) (string, error) {
	return func(e evidence) (string, error) {
		m, err := e.mountAt("mount-options", target)
		if err != nil {
			return "", err
		}
		got, want := slices.Clone(m.vfs), slices.Clone(vfs)
		slices.Sort(got)
		slices.Sort(want)
		if m.kind != kind || !slices.Equal(got, want) {
			return "", fmt.Errorf("%s with %s; want %s with %s", m.kind, strings.Join(m.vfs, ","), kind, strings.Join(vfs, ","))
		}
		for _, option := range fs {
			if !slices.Contains(m.fs, option) {
				return "", fmt.Errorf("%s lacks %s", strings.Join(m.fs, ","), option)
			}
		}
		return strings.Join(append(slices.Clone(m.vfs), fs...), ","), nil
	}
}

func (e evidence) mountAt(section, target string) (mount, error) {
	list, err := e.mounts(section)
	if err != nil {
		return mount{}, err
	}
	var found []mount
	for _, m := range list {
		if m.target == target {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		return mount{}, fmt.Errorf("%s: %d mounts at %s, want one", section, len(found), target)
	}
	return found[0], nil
}

// proveRunSize compares with MemTotal, which is a little more than the kernel
// had when /run was mounted: the initramfs is freed later.
func proveRunSize(e evidence) (string, error) {
	m, err := e.mountAt("mount-options", "/run")
	if err != nil {
		return "", err
	}
	lines, err := e.Lines("memory")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(find(lines, "MemTotal:"))
	if len(fields) < 2 {
		return "", errors.New("memory: no MemTotal")
	}
	total, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return "", fmt.Errorf("memory: %w", err)
	}
	size, found := sizeOf(m.fs)
	if !found || size*5 < total*9/10 || size*5 > total*101/100 {
		return "", fmt.Errorf("size %d kB of %d kB (%s)", size, total, strings.Join(m.fs, ","))
	}
	return fmt.Sprintf("%d kB of %d kB", size, total), nil
}

var kernelChecks = []check{
	{"7 this is the kernel that was to be tested", func(e evidence) (string, error) {
		lines, err := e.Lines("versions")
		if err != nil {
			return "", err
		}
		if !slices.Contains(lines, "kernel "+e.release) {
			return "", fmt.Errorf("%s, want kernel %s", strings.Join(lines, ", "), e.release)
		}
		return strings.Join(lines, ", "), nil
	}},
	{"7 systemd is 262 or newer", func(e evidence) (string, error) {
		lines, err := e.Lines("versions")
		if err != nil {
			return "", err
		}
		version, _ := strings.CutPrefix(find(lines, "systemd "), "systemd ")
		digits := len(version) - len(strings.TrimLeft(version, "0123456789"))
		if major, err := strconv.Atoi(version[:digits]); err != nil || major < 262 {
			return "", fmt.Errorf("systemd %q in versions", version)
		}
		return version, nil
	}},
	{"7 the root was switched in the way that this kernel allows", func(e evidence) (string, error) {
		way, err := e.handoverWay()
		if err != nil {
			return "", err
		}
		// Before 7.0 the initramfs is the root of the mount tree itself, which
		// pivot_root(2) refuses.
		want := "pivot_root"
		major, _, _ := strings.Cut(e.release, ".")
		if number, err := strconv.Atoi(major); err != nil || number < 7 {
			want = "move"
		}
		if way != want {
			return "", fmt.Errorf("by %q, want %s", way, want)
		}
		return way, nil
	}},
}
