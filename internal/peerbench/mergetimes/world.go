package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

const confexts = "/var/lib/confexts"

// enter makes a directory the root of this process and of what it starts.
func enter(root string) error {
	if root == "" {
		return nil
	}
	// The namespace is this thread's alone. It starts the programs.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	// "/" has to be a mount.
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	for _, m := range []struct{ source, at, kind string }{
		{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"devtmpfs", "/dev", "devtmpfs"},
		{"tmpfs", "/run", "tmpfs"}, {"tmpfs", "/tmp", "tmpfs"},
	} {
		if err := os.MkdirAll(root+m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, root+m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := unix.Chroot(root); err != nil {
		return err
	}
	return os.Chdir("/")
}

// furnish makes of a bare root a system that confexts can be merged into.
func furnish() error {
	for _, directory := range []string{confexts, "/run/systemd", filepath.Dir(ourLink), "/etc/verity.d"} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"/usr/lib/os-release": "ID=testbed\nVERSION_ID=1\nCONFEXT_LEVEL=1\nSYSEXT_LEVEL=1\n",
		"/etc/hostname":       "bench\n",
		"/etc/passwd":         "root:x:0:0:root:/root:/bin/sh\n",
		"/etc/fstab":          "# nothing\n",
	} {
		if err := write(name, text); err != nil {
			return err
		}
	}
	if err := os.Symlink("../usr/lib/os-release", "/etc/os-release"); err != nil && !os.IsExist(err) {
		return err
	}
	if err := os.Symlink(ourBinary, ourLink); err != nil && !os.IsExist(err) {
		return err
	}
	// As below systemd.
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

func write(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}

// provide puts extensions where both programs look for them; what it returns takes them away.
func (b *bench) provide(kind string, count int) (take func() error, err error) {
	if err := os.RemoveAll(confexts); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(confexts, 0o755); err != nil {
		return nil, err
	}
	take = func() error { return os.RemoveAll(confexts) }
	switch kind {
	case "dirs":
		for i := range count {
			if err := makeDirectory(fmt.Sprintf("ext%05d", i)); err != nil {
				return nil, err
			}
		}
		return take, nil
	case "images":
		files, err := filepath.Glob(filepath.Join(b.images, "*.raw"))
		if err != nil || len(files) < count {
			return nil, fmt.Errorf("there are %d images in %s", len(files), b.images)
		}
		slices.Sort(files)
		for _, file := range files[:count] {
			if err := copyFile(file, filepath.Join(confexts, filepath.Base(file))); err != nil {
				return nil, err
			}
		}
		return take, nil
	}
	return nil, fmt.Errorf("there is no kind %q", kind)
}

// makeDirectory makes a small confext, whose name has 8 bytes: two files of its own.
func makeDirectory(name string) error {
	at := filepath.Join(confexts, name, "etc")
	for file, text := range map[string]string{
		"extension-release.d/extension-release." + name: "ID=_any\n",
		name + ".conf":          "[" + name + "]\nkey=value\n",
		name + ".d/10-one.conf": "[" + name + "]\nother=value\n",
	} {
		if err := write(filepath.Join(at, file), text); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}
