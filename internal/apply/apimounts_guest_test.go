//go:build guest

package apply

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountinfo"
)

// TestMountAPI mounts with the options that systemd would mount with, since it keeps what it finds, and hides what the image has in these places: above all
// a /run/initramfs, which systemd would go back to at shutdown.
func TestMountAPI(t *testing.T) {
	runInNewRoot(t, func() {
		must(os.MkdirAll("/run/initramfs", 0o755))
		must(os.WriteFile("/run/initramfs/shutdown", []byte("#!/bin/sh\n"), 0o755))
		must(MountAPI())
		// What is mounted stays.
		must(os.WriteFile("/run/kept", nil, 0o600))
		must(MountAPI())
		say("%s", ls("/run"))
		table, err := os.Open("/proc/self/mountinfo")
		must(err)
		mounts, err := mountinfo.Parse(table)
		must(err)
		for _, m := range mounts {
			if m.Target == "/" {
				continue
			}
			super := slices.DeleteFunc(strings.Split(m.SuperOptions, ","), func(option string) bool {
				// The size is a part of the memory; inode numbers are as the kernel was built.
				return strings.HasPrefix(option, "size=") || strings.HasPrefix(option, "inode")
			})
			if m.FSType == "devtmpfs" {
				// There is one for the whole machine, which has the options of its first mount.
				super = nil
			}
			say("%s %s %s %s %s", m.Target, m.FSType, m.Source, m.Options, strings.Join(super, ","))
		}
		var fs unix.Statfs_t
		must(unix.Statfs("/run", &fs))
		var memory unix.Sysinfo_t
		must(unix.Sysinfo(&memory))
		share := float64(fs.Blocks) * float64(fs.Bsize) / (float64(memory.Totalram) * float64(memory.Unit))
		say("/run has a fifth of the memory: %t", share > 0.17 && share < 0.23)
	},
		"/run/kept",
		"/proc proc proc rw,nosuid,nodev,noexec,relatime rw",
		"/sys sysfs sysfs rw,nosuid,nodev,noexec,relatime rw",
		"/dev devtmpfs devtmpfs rw,nosuid ",
		"/run tmpfs tmpfs rw,nosuid,nodev rw,nr_inodes=819200,mode=755",
		"/run has a fifth of the memory: true")
}
