//go:build guest

package verity

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
)

// makeDisk makes a loop device with partitions, and returns its node.
func makeDisk(t *testing.T, partitions ...gpttest.Partition) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, gpttest.Disk{Partitions: partitions}.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	control, err := os.Open("/dev/loop-control")
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		t.Fatal(err)
	}
	node := fmt.Sprintf("/dev/loop%d", number)
	loop, err := os.Open(node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0)
		loop.Close()
	})
	config := unix.LoopConfig{Fd: uint32(file.Fd()), Size: 512, Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_PARTSCAN | unix.LO_FLAGS_READ_ONLY}}
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
		t.Fatal(err)
	}
	return node
}

// parts are the two partitions of an image, named by its root hash.
func (i tree) parts(t *testing.T) (data, hash gpttest.Partition) {
	t.Helper()
	root, err := hex.DecodeString(i.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		name string
		id   []byte
		to   *gpttest.Partition
	}{{"data", root[:16], &data}, {"hash", root[len(root)-16:], &hash}} {
		content, err := os.ReadFile(i.path(part.name))
		if err != nil {
			t.Fatal(err)
		}
		*part.to = gpttest.Partition{Type: gpt.GUID{1}, ID: gpt.GUID(part.id), Data: content}
	}
	return data, hash
}

func TestOpenFindsDevicesByTheRootHash(t *testing.T) {
	dm := deviceMapper(t)
	for name, options := range map[string][]string{"sha256": nil, "sha512": {"--hash=sha512"}, "sha1": {"--hash=sha1"}} {
		t.Run(name, func(t *testing.T) {
			i := format(t, 64<<10, options...)
			data, hash := i.parts(t)
			other := format(t, 16<<10)
			otherData, otherHash := other.parts(t)
			makeDisk(t, otherHash, otherData)
			disk := makeDisk(t, otherData, hash, data)
			closeAtEnd(t, "found")
			ours(t, "open", "--root-hash="+strings.ToUpper(i.root), "found").want(t, "open")
			status := theirs(t, "status", "found").stdout
			for _, want := range []string{"data device: " + disk + "p3\n", "hash device: " + disk + "p2\n", "root hash:   " + i.root + "\n"} {
				if !strings.Contains(status, want) {
					t.Errorf("no %q in\n%s", want, status)
				}
			}
			if target, err := dm.Table("found"); err != nil || target.Sectors != 128 {
				t.Errorf("%+v, %v", target, err)
			}
			ours(t, "close", "found").want(t, "close")
		})
	}
	wantNothingLeft(t)
}

func TestOpenFindsNothing(t *testing.T) {
	i := format(t, 64<<10)
	data, hash := i.parts(t)
	closeAtEnd(t, "missing")
	wrong := hash
	wrong.ID = gpt.GUID{7}
	for name, test := range map[string]struct {
		partitions []gpttest.Partition
		root, want string
		code       int
	}{
		"no disk":      {nil, i.root, "Devices not found: no partition PARTUUID=", exitDevice},
		"no data":      {[]gpttest.Partition{hash}, i.root, "(data, first half of the root hash).\n", exitDevice},
		"no hash tree": {[]gpttest.Partition{data, wrong}, i.root, "(hash tree, second half of the root hash).\n", exitDevice},
		"bad hex":      {nil, "xyz", "Invalid root hash string specified.\n", exitParameters},
		"half":         {nil, i.root[:16], "Devices not found: ", exitDevice},
		// The halves are right, what lies between is not.
		"wrong middle": {[]gpttest.Partition{data, hash}, i.root[:16] + strings.Repeat("0", 32) + i.root[48:], "Devices not found: ", exitDevice},
	} {
		t.Run(name, func(t *testing.T) {
			if test.partitions != nil {
				makeDisk(t, test.partitions...)
			}
			if a := ours(t, "open", "--root-hash", test.root, "missing"); a.code != test.code || !strings.Contains(a.stderr, test.want) {
				t.Errorf("%+v", a)
			}
		})
	}
	// The tree of another image under the right names.
	other := format(t, 16<<10)
	_, otherHash := other.parts(t)
	otherHash.ID = hash.ID
	makeDisk(t, data, otherHash)
	if a := ours(t, "open", "--root-hash", i.root, "missing"); a.code != exitPermission || !strings.Contains(a.stderr, "does not match the root hash") {
		t.Errorf("%+v", a)
	}
	wantNothingLeft(t)
}

// TestOpenUsesTheSignatureBeside has a signature partition with a signature that nobody accepts: the root hash
// counts then, which is said, unless a policy asks for more.
func TestOpenUsesTheSignatureBeside(t *testing.T) {
	i := format(t, 64<<10)
	data, hash := i.parts(t)
	text := fmt.Sprintf(`{"rootHash":"%s","signature":"%s"}`, i.root, base64.StdEncoding.EncodeToString([]byte("no signature")))
	disk := makeDisk(t, data, hash, gpttest.Partition{Type: gpt.GUID{2}, ID: gpt.GUID{3}, Data: append([]byte(text), make([]byte, 4096-len(text))...)})
	closeAtEnd(t, "signed")
	a := ours(t, "open", "--root-hash", i.root, "signed")
	if a.code != 0 || !strings.Contains(a.stderr, "WARNING: opened by its root hash alone, signature "+disk+"p3 does not count") {
		t.Errorf("%+v", a)
	}
	ours(t, "close", "signed").want(t, "close")
	if a := ours(t, "open", "--policy=signed", "--root-hash", i.root, "signed"); a.code == 0 {
		t.Errorf("%+v", a)
	}
	wantNothingLeft(t)
}
