//go:build hostroot

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullTarget builds onto a file system that is too small: one line, and nothing left on it.
func TestFullTarget(t *testing.T) {
	folder, arguments := makeTree(t)
	target := t.TempDir()
	if err := syscall.Mount("tmpfs", target, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
	image := filepath.Join(target, "image")
	writeFile(t, image, "earlier image")
	large := filepath.Join(folder, "large")
	writeFile(t, large, strings.Repeat("0123456789abcdef", 1<<13))
	code, _, stderr := call(t, append([]string{"build", "--quiet", "--compress=none", "--include", large + ":/large"}, append(arguments, "--output", image)...)...)
	if code != exitFailed || !strings.HasSuffix(stderr, "write "+image+": no space left on device\n") {
		t.Errorf("%d, %q", code, stderr)
	}
	entries, err := os.ReadDir(target)
	if content, _ := os.ReadFile(image); err != nil || len(entries) != 1 || string(content) != "earlier image" {
		t.Errorf("left: %v, %q (%v)", entries, content, err)
	}
}

// TestUnwritableTarget: a file system that is mounted read-only.
func TestUnwritableTarget(t *testing.T) {
	_, arguments := makeTree(t)
	target := t.TempDir()
	if err := syscall.Mount("tmpfs", target, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
	image := filepath.Join(target, "image")
	code, _, stderr := call(t, append([]string{"build", "--quiet"}, append(arguments, "--output", image)...)...)
	if code != exitFailed || !strings.HasSuffix(stderr, "write "+image+": read-only file system\n") {
		t.Errorf("%d, %q", code, stderr)
	}
}
