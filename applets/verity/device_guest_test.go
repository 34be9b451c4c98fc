//go:build guest

package verity

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
)

// TestFullDisk formats onto a file system that is too small for the tree, for the parity, and for the last block of it.
func TestFullDisk(t *testing.T) {
	i := format(t, 4<<20)
	at := t.TempDir()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	// 4 MiB have a tree of 9 blocks and the superblock, and with 24 roots a parity of 5 times 24 blocks.
	for _, blocks := range []int{1, 8, 9, 10, 16} {
		filler := filepath.Join(at, "filler")
		if err := os.WriteFile(filler, make([]byte, (16-blocks)*4096), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments := []string{"--root-hash-file=" + filepath.Join(at, "root"), "format", i.path("data"), filepath.Join(at, "hash")}
		if blocks == 16 {
			arguments = append(arguments, "--fec-roots=24", "--fec-device="+filepath.Join(at, "fec"))
		}
		a := ours(t, arguments...)
		if a.code != exitParameters || a.stdout != "" && blocks != 10 || !strings.Contains(a.stderr, "no space left on device") {
			t.Errorf("%d blocks: %+v", blocks, a)
		}
		entries, err := os.ReadDir(at)
		if err != nil || len(entries) != 1 {
			t.Errorf("%d blocks: left %v, %v", blocks, entries, err)
		}
	}
}

// TestUnreadableDevices has devices whose reads fail in the kernel, in the middle.
func TestUnreadableDevices(t *testing.T) {
	i := format(t, 1<<20)
	dm := deviceMapper(t)
	const name = "unreadable"
	device, err := dm.Create(name, "TEST-unreadable", devmapper.Target{Sectors: 1 << 20 >> 9, Type: "error"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dm.Remove(name) })
	node := device.Node()
	hash := filepath.Join(t.TempDir(), "hash")
	for _, test := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"format", node, hash}, "Input/output error while creating hash area.\nread data device at byte 0: "},
		{[]string{"format", i.path("data"), node}, "input/output error"},
		{[]string{"--fec-device=" + node, "format", i.path("data"), hash}, "Input/output error while creating FEC area.\n"},
		{[]string{"verify", node, i.path("hash"), i.root}, "Verification of data area failed."},
		{[]string{"verify", i.path("data"), node, i.root}, "Device " + node + " is not a valid VERITY device."},
		{[]string{"dump", node}, "Device " + node + " is not a valid VERITY device."},
	} {
		if a := ours(t, test.arguments...); a.code != exitParameters || !strings.Contains(a.stderr, test.want) || strings.Contains(a.stderr, "panic") {
			t.Errorf("%q: %+v", test.arguments, a)
		}
		if _, err := os.Stat(hash); err == nil {
			t.Errorf("%q: a file is left", test.arguments)
		}
	}
	a := ours(t, "open", node, "v1", i.path("hash"), i.root)
	if a.code == 0 || !strings.Contains(a.stderr, "input/output error") {
		t.Errorf("open: %+v", a)
	}
	if err := dm.Remove(name); err != nil {
		t.Error(err)
	}
	wantNothingLeft(t)
}

// TestOpenInterrupted: whoever is told that it was interrupted finds no device.
func TestOpenInterrupted(t *testing.T) {
	i := format(t, 1<<20)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&failure{code: 130, lines: "Interrupted (interrupt)."})
	var out strings.Builder
	s := &session{stdout: &out, stderr: &out, workers: 1}
	if code := s.run(ctx, []string{"veritysetup", "open", i.path("data"), "v1", i.path("hash"), i.root}); code != 130 || out.String() != "Interrupted (interrupt).\n" {
		t.Errorf("%d, %q", code, out.String())
	}
	wantNothingLeft(t)
	if loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file"); len(loops) != 0 {
		t.Errorf("left: %v", loops)
	}
}
