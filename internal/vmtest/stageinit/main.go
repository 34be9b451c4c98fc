// Command stageinit is /init of a stand-in for Flatcar's second stage: it says on the console what it finds, before it changes anything,
// and restarts the machine.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mark starts each line. A test reads them.
const mark = "stage: "

// longest is what is shown of a file, in bytes.
const longest = 4096

func main() {
	lines := look()
	// The report of the first stage, and the mount table, need /proc.
	say := func(format string, arguments ...any) { lines = append(lines, fmt.Sprintf(format, arguments...)) }
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		say("proc: %v", err)
	}
	if err := unix.Mount("devtmpfs", "/dev", "devtmpfs", 0, ""); err != nil {
		say("dev: %v", err)
	}
	table, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 9 {
			before, after, _ := strings.Cut(line, " - ")
			say("mount %s %s %s", fields[4], strings.Fields(before)[5], strings.TrimSpace(after))
		}
	}
	var st unix.Stat_t
	if err := unix.Stat("/dev/mapper/usr", &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		say("/dev/mapper/usr: %v, mode %o", err, st.Mode)
	}
	report, err := os.ReadFile("/run/preroot/report.json")
	say("report error=%v secondStage=%t", err, bytes.Contains(report, []byte(`"secondStage"`)))
	say("end")
	for _, line := range lines {
		fmt.Println(mark + line)
	}
	unix.Sync()
	fmt.Println(unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART))
}

// look notes what is there when the second stage starts.
func look() (lines []string) {
	say := func(format string, arguments ...any) { lines = append(lines, fmt.Sprintf(format, arguments...)) }
	say("pid=%d arguments=%q", os.Getpid(), os.Args)
	for _, name := range []string{"/proc", "/sys", "/dev"} {
		var st unix.Statx_t
		err := unix.Statx(unix.AT_FDCWD, name, 0, 0, &st)
		say("%s mounted=%t error=%v", name, st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, err)
	}
	for _, standard := range []int{0, 1, 2} {
		var st unix.Stat_t
		err := unix.Fstat(standard, &st)
		say("descriptor %d is %d:%d, %v", standard, unix.Major(st.Rdev), unix.Minor(st.Rdev), err)
	}
	for fd := 3; fd < 64; fd++ {
		var st unix.Stat_t
		// Go's own poller opens some.
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT != 0 && st.Mode&unix.S_IFMT != unix.S_IFIFO {
			say("descriptor %d is open, mode %o", fd, st.Mode)
		}
	}
	say("writable: %v", os.WriteFile("/written", []byte("x"), 0o600))
	say("/usr of the stage: %s", read("/usr/marker"))
	say("/sysusr/usr: %s, write: %v", read("/sysusr/usr/marker"), os.WriteFile("/sysusr/usr/written", nil, 0o600))
	for _, root := range []string{"/oem", "/.extra", "/usr.squashfs"} {
		_ = filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			info, err := entry.Info()
			if err != nil {
				return nil
			}
			text := ""
			if info.Mode().IsRegular() {
				text = " " + read(name)
			}
			say("%s %v%s", name, info.Mode(), text)
			return nil
		})
	}
	return lines
}

func read(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	if len(text) > longest {
		return fmt.Sprintf("%d bytes", len(text))
	}
	return strings.TrimSpace(string(text))
}
