package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mountAll mounts what a test may take for granted on a running system.
func mountAll() error {
	for _, m := range []struct {
		kind, target, options string
		flags                 uintptr
	}{
		{"proc", "/proc", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"sysfs", "/sys", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"devtmpfs", "/dev", "mode=755", unix.MS_NOSUID},
		{"tmpfs", "/run", "mode=755", unix.MS_NOSUID | unix.MS_NODEV},
		{"tmpfs", "/tmp", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return fmt.Errorf("make mount point: %w", err)
		}
		// The kernel mounts devtmpfs by itself where there is a /dev and it is
		// configured to.
		err := unix.Mount(m.kind, m.target, m.kind, m.flags, m.options)
		if err != nil && (err != unix.EBUSY || m.kind != "devtmpfs") {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

// openConsole makes the console standard input, output and error: an image
// without /dev/console gives its init none.
func openConsole() error {
	fd, err := unix.Open("/dev/console", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open /dev/console: %w", err)
	}
	for _, standard := range []int{0, 1, 2} {
		if fd == standard {
			continue
		}
		if err := unix.Dup3(fd, standard, 0); err != nil {
			return fmt.Errorf("duplicate /dev/console: %w", err)
		}
	}
	if fd > 2 {
		return unix.Close(fd)
	}
	return unix.SetNonblock(fd, false)
}

// quietKernel lets nothing but emergencies through to the console.
func quietKernel() error {
	if err := os.WriteFile("/proc/sys/kernel/printk", []byte("1 4 1 7"), 0); err != nil {
		return fmt.Errorf("quiet the kernel: %w", err)
	}
	return nil
}
