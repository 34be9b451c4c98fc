//go:build guest

package sysextselection

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTree looks at a root, and at the partition of an OEM beside it, with links in all directions.
func TestTree(t *testing.T) {
	folder := t.TempDir()
	root, oem := filepath.Join(folder, "root"), filepath.Join(folder, "oem")
	for name, text := range map[string]string{
		"outside": "x", "root/etc/file": "on the root", "root/oem/file": "below the partition", "oem/file": "on OEM", "oem/sub/file": "below",
		"root/etc/empty/x": "", "oem/empty/x": "",
	} {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"root/etc/link": "file", "root/etc/absolute": "/etc/file", "root/etc/out": "../../outside", "root/etc/nowhere": "/nowhere",
		"oem/link": "file", "oem/absolute": "/file", "oem/out": "../outside", "oem/nowhere": "/nowhere", "oem/way": "sub",
	} {
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(oem, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	var tree Tree
	defer func() { tree.Close() }()
	if _, found, err := tree.Look("/etc/file", false); found || err != nil {
		t.Errorf("without a root: %t, %v", found, err)
	}
	for _, part := range [][2]string{{"/oem", oem}, {"", root}} {
		if err := tree.Add(part[0], part[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Add("/usr", filepath.Join(folder, "not there")); err == nil {
		t.Error("a directory that is not there")
	}
	const missing, refused, there = "missing", "not a regular file", "there"
	for at, want := range map[string]string{
		"/etc/file": there, "/etc/link": there, "/etc/absolute": there, "/etc/out": missing, "/etc/nowhere": missing, "/etc/none": missing, "/etc/empty": refused,
		"/oem/file": there, "/oem/sub/file": there, "/oem/none": missing, "/oem/none/file": missing, "/oem/empty": refused, "/oem/fifo": refused,
		"/oem/link": refused, "/oem/absolute": refused, "/oem/out": refused, "/oem/nowhere": refused, "/oem/way/file": refused,
	} {
		_, found, err := tree.Look(at, false)
		got := missing
		switch {
		case err != nil:
			got = err.Error()
		case found:
			got = there
		}
		if !strings.Contains(got, want) || found != (want == there) {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
	for at, want := range map[string]string{"/etc/file": "on the root", "/oem/file": "on OEM"} {
		if text, found, err := tree.Look(at, true); string(text) != want || !found || err != nil {
			t.Errorf("%s: %q, %t, %v", at, text, found, err)
		}
	}
	if text, found, err := tree.Look("/oem/none", true); text != nil || found || err != nil {
		t.Errorf("nothing: %q, %t, %v", text, found, err)
	}
	if text, found, err := tree.Look("/oem/fifo", true); text != nil || found || err == nil {
		t.Errorf("a pipe: %q, %t, %v", text, found, err)
	}
}
