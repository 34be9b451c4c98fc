//go:build guest

// Package corruption has guest tests that end the machine: each opens a device
// with the verity applet, told what to do about damage, and reads a block that
// is damaged.
package corruption

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/applets/verity"
	"github.com/preroot/preroot/internal/hashtree/hashtreetest"
	"github.com/preroot/preroot/internal/veritytable"
)

const (
	blockSize = 4096
	blocks    = 64
	bad       = 7 // a block that nothing but this test reads
)

func TestPanicOnCorruption(t *testing.T) {
	f := newFiles(t)
	f.damage(t)
	f.openAndRead(t, f.data, "--panic-on-corruption")
}

func TestRestartOnCorruption(t *testing.T) {
	f := newFiles(t)
	f.damage(t)
	f.openAndRead(t, f.data, "--restart-on-corruption")
}

func TestPanicOnError(t *testing.T) {
	f := newFiles(t)
	f.openAndRead(t, f.unreadable(t), "--panic-on-corruption", "--error-as-corruption")
}

func TestRestartOnError(t *testing.T) {
	f := newFiles(t)
	f.openAndRead(t, f.unreadable(t), "--restart-on-corruption", "--error-as-corruption")
}

type files struct{ data, hash, root string }

func newFiles(t *testing.T) *files {
	t.Helper()
	content := bytes.Repeat([]byte("what is to be protected\n"), blocks*blockSize)[:blocks*blockSize]
	tree, root := hashtreetest.Build(veritytable.Superblock{
		HashType: 1, Algorithm: "sha256", DataBlockSize: blockSize, HashBlockSize: blockSize, DataBlocks: blocks,
	}, 0, content)
	dir := t.TempDir()
	f := &files{data: filepath.Join(dir, "data"), hash: filepath.Join(dir, "hash"), root: hex.EncodeToString(root)}
	for name, b := range map[string][]byte{f.data: content, f.hash: tree} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *files) damage(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(f.data, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte("damage"), bad*blockSize+100); err != nil {
		t.Fatal(err)
	}
}

// unreadable makes a device of the data whose bad block cannot be read.
func (f *files) unreadable(t *testing.T) string {
	t.Helper()
	loop, err := exec.Command("/usr/sbin/losetup", "--find", "--show", f.data).CombinedOutput()
	if err != nil {
		t.Fatalf("losetup: %v: %s", err, loop)
	}
	const sectors = blockSize / 512
	device := strings.TrimSpace(string(loop))
	command := exec.Command("/usr/sbin/dmsetup", "create", "--noudevsync", "torn")
	command.Stdin = strings.NewReader(fmt.Sprintf("0 %d linear %s 0\n%d %d error\n%d %d linear %s %d\n",
		bad*sectors, device, bad*sectors, sectors, (bad+1)*sectors, (blocks-bad-1)*sectors, device, (bad+1)*sectors))
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("dmsetup: %v: %s", err, output)
	}
	// The machine's first mapped device. The link is made by udev, which there is none of.
	return "/dev/dm-0"
}

// openAndRead does not return: the kernel ends the machine.
func (f *files) openAndRead(t *testing.T, data string, options ...string) {
	t.Helper()
	arguments := append([]string{"veritysetup", "open"}, options...)
	if code := verity.Main(append(arguments, data, "torture", f.hash, f.root)); code != 0 {
		t.Fatalf("the open ended with %d", code)
	}
	device, err := os.OpenFile("/dev/mapper/torture", os.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := device.ReadAt(make([]byte, blockSize), (bad+1)*blockSize); err != nil {
		t.Fatalf("a good block cannot be read: %v", err)
	}
	// Through the kernel's log, loud enough for any console, and there when the call returns: what a terminal still holds is lost with the machine.
	if err := os.WriteFile("/dev/kmsg", []byte("<0>opened, and a good block was read\n"), 0); err != nil {
		t.Fatal(err)
	}
	// The kernel reads ahead, which is how the block above may have met the bad one.
	_, err = device.ReadAt(make([]byte, blockSize), bad*blockSize)
	t.Errorf("the machine still runs; the read says %v", err)
	_, _ = io.Copy(io.Discard, device)
}
