// Command rootinit is the init of a small real root, for a machine that has no Debian: it says on the console what it was left, and ends by
// reading a file of /usr that it has damaged on the disk, which dm-verity answers with a panic. It shares no code with the boot.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mark starts each line. A test reads them.
const mark = "root: "

func say(format string, arguments ...any) { fmt.Printf(mark+format+"\n", arguments...) }

func main() {
	// The kernel's own lines would cut these in two. A panic still reaches the console.
	if err := os.WriteFile("/proc/sys/kernel/printk", []byte("1 4 1 7"), 0); err != nil {
		say("quiet the kernel: %v", err)
	}
	fmt.Println()
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		say("uname: %v", err)
	}
	say("pid %d on %s %s as %q", os.Getpid(), unix.ByteSliceToString(names.Release[:]), unix.ByteSliceToString(names.Machine[:]), os.Args)
	sayMounts("/", "/usr", "/etc", "/run")
	for _, name := range []string{"/etc/from-confext", "/etc/from-root", "/usr/from-usr"} {
		text, err := os.ReadFile(name)
		say("file %s: %q error=%v", name, text, err)
	}
	say("write /usr: %v", os.WriteFile("/usr/written", nil, 0o600))
	sayDisks()
	sayMemory()
	sayReport()
	say("end")
	say("a damaged file of /usr: %v", readDamaged("/usr/victim"))
	unix.Sync()
	say("%v", unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART))
}

// sayMounts prints what is mounted at some places: the last entry of a place is what one sees there.
func sayMounts(places ...string) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		say("mounts: %v", err)
	}
	for _, place := range places {
		seen := "nothing"
		for line := range strings.Lines(string(text)) {
			before, after, _ := strings.Cut(line, " - ")
			if fields := strings.Fields(before); len(fields) > 5 && fields[4] == place {
				seen = fields[5] + " " + strings.TrimSpace(after)
			}
		}
		say("mount %s %s", place, seen)
	}
}

// sayDisks prints the drivers that each partition hangs on, up to the bus.
func sayDisks() {
	partitions, err := filepath.Glob("/sys/class/block/*/partition")
	if err != nil || len(partitions) == 0 {
		say("partitions: %v, %v", partitions, err)
	}
	for _, file := range partitions {
		place, err := filepath.EvalSymlinks(filepath.Dir(file))
		if err != nil {
			say("partitions: %v", err)
			continue
		}
		name := filepath.Base(place)
		var drivers []string
		for ; strings.HasPrefix(place, "/sys/devices/"); place = filepath.Dir(place) {
			if driver, err := os.Readlink(filepath.Join(place, "driver")); err == nil {
				drivers = append(drivers, filepath.Base(driver))
			}
		}
		say("partition %s is driven by %s", name, strings.Join(drivers, " "))
	}
}

// sayMemory prints what files in memory take: those of a tmpfs count as Shmem, those of a ramfs as Unevictable. An initramfs that is still
// there would show.
func sayMemory() {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		say("memory: %v", err)
	}
	total := 0
	for line := range strings.Lines(string(text)) {
		var amount int
		key, value, _ := strings.Cut(line, ":")
		if key == "Shmem" || key == "Unevictable" {
			if _, err := fmt.Sscan(value, &amount); err != nil {
				say("memory: %s: %v", key, err)
			}
			total += amount
		}
	}
	say("files in memory take %d KiB", total)
}

// sayReport prints the record of the boot in one line.
func sayReport() {
	text, err := os.ReadFile("/run/preroot/report.json")
	var line bytes.Buffer
	if err == nil {
		err = json.Compact(&line, text)
	}
	if err != nil {
		say("report: %v", err)
		return
	}
	say("report %s", line.Bytes())
}
