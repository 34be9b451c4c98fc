//go:build guest

package devmapper_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/veritytable"
)

func open(t *testing.T) *devmapper.Control {
	t.Helper()
	c, err := devmapper.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if output := run(t, "dmsetup", "ls"); output != "No devices found" {
			t.Errorf("left behind: %s", output)
		}
	})
	return c
}

// attach makes a loop device of a file with this content.
func attach(t *testing.T, content []byte) *loopdev.Device {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return attachFile(t, file)
}

func attachFile(t *testing.T, name string) *loopdev.Device {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	device, err := loopdev.Attach(file, 0, 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	return device
}

func run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	output, err := exec.Command(program, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", program, arguments, err, output)
	}
	return strings.TrimSpace(string(output))
}

// holdNode keeps the device open. The kernel does a deferred removal a moment
// after the last user is gone.
func holdNode(t *testing.T, c *devmapper.Control) func(name string) func() {
	return func(name string) func() {
		device, err := c.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(device.Node())
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			file.Close()
			for range 500 {
				if _, err := c.Find(name); errors.Is(err, unix.ENXIO) {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

func TestTheKernelKeepsTheContract(t *testing.T) {
	c := open(t)
	loop := attach(t, make([]byte, 64<<10))
	target := devmapper.Target{Sectors: 64, Type: "linear", Parameters: loop.Number() + " 8"}
	checkContract(t, c, target, holdNode(t, c))
}

func TestDmsetupSeesTheDevice(t *testing.T) {
	c := open(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	loop := attach(t, content)
	target := devmapper.Target{Sectors: 120, Type: "linear", Parameters: loop.Number() + " 8"}
	// A name with everything that may stand in one.
	const name = `a b+#:=,"é`
	device, err := c.Create(name, "TEST-judge", target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Remove(name); err != nil {
			t.Error(err)
		}
	}()
	number := fmt.Sprintf("%d:%d", device.Major, device.Minor)
	got := run(t, "dmsetup", "info", "-c", "--noheadings", "--separator", "|", "--manglename", "none",
		"-o", "uuid,major,minor,open,segments,attr", "-j", fmt.Sprint(device.Major), "-m", fmt.Sprint(device.Minor))
	if want := fmt.Sprintf("TEST-judge|%d|%d|0|1|L--r", device.Major, device.Minor); got != want {
		t.Errorf("dmsetup info: %s, want %s", got, want)
	}
	if got, want := run(t, "dmsetup", "table", "--manglename", "none", "-u", "TEST-judge"), "0 120 linear "+target.Parameters; got != want {
		t.Errorf("dmsetup table: %s, want %s", got, want)
	}
	text, err := os.ReadFile("/sys/dev/block/" + number + "/dm/name")
	if err != nil || strings.TrimSuffix(string(text), "\n") != name {
		t.Errorf("name in sysfs %q, %v", text, err)
	}
	read, err := os.ReadFile(device.Node())
	if err != nil || !bytes.Equal(read, content[8*512:]) {
		t.Errorf("read %d bytes, %v", len(read), err)
	}
	// The kernel lets it be opened for writing, but not be written to.
	file, err := os.OpenFile(device.Node(), os.O_WRONLY, 0)
	if err == nil {
		_, err = file.Write(make([]byte, 512))
		file.Close()
	}
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("written to: %v", err)
	}
}

func TestWhatDmsetupMadeIsFound(t *testing.T) {
	c := open(t)
	loop := attach(t, make([]byte, 4096))
	// Two targets: ours are of one, others may have more. Without udev, dmsetup
	// makes the node itself.
	command := exec.Command("dmsetup", "create", "theirs", "--uuid", "THEIRS", "--readonly", "--verifyudev")
	command.Stdin = strings.NewReader("0 1 linear " + loop.Number() + " 3\n1 7 error\n")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("dmsetup create: %v: %s", err, output)
	}
	device, err := c.Find("theirs")
	if err != nil || device.UUID != "THEIRS" || !device.Active || !device.ReadOnly {
		t.Errorf("%+v, %v", device, err)
	}
	want := devmapper.Target{Sectors: 1, Type: "linear", Parameters: loop.Number() + " 3"}
	if table, err := c.Table("theirs"); err != nil || table != want {
		t.Errorf("%+v, %v", table, err)
	}
	if err := c.Remove("theirs"); err != nil {
		t.Error(err)
	}
}

func TestADeviceWithoutATable(t *testing.T) {
	c := open(t)
	run(t, "dmsetup", "create", "empty", "--notable")
	device, err := c.Find("empty")
	if err != nil || device.Active {
		t.Errorf("%+v, %v", device, err)
	}
	if table, err := c.Table("empty"); err == nil || !strings.Contains(err.Error(), `"empty"`) {
		t.Errorf("%+v, %v", table, err)
	}
	if err := c.Remove("empty"); err != nil {
		t.Error(err)
	}
}

// verity is a data file with its hash tree, made by veritysetup.
type verity struct {
	table veritytable.Table
	uuid  string
	data  string // path
}

func makeVerity(t *testing.T) verity {
	t.Helper()
	dir := t.TempDir()
	v := verity{data: filepath.Join(dir, "data")}
	content := make([]byte, 300*4096)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(content)
	if err := os.WriteFile(v.data, content, 0o600); err != nil {
		t.Fatal(err)
	}
	hash := filepath.Join(dir, "hash")
	run(t, "veritysetup", "format", v.data, hash, "--root-hash-file", hash+".root")
	text, err := os.ReadFile(hash + ".root")
	if err != nil {
		t.Fatal(err)
	}
	root, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	block, err := os.ReadFile(hash)
	if err != nil {
		t.Fatal(err)
	}
	s, err := veritytable.ParseSuperblock(block[:veritytable.SuperblockSize])
	if err != nil {
		t.Fatal(err)
	}
	geometry, err := s.Geometry(0)
	if err != nil {
		t.Fatal(err)
	}
	v.table = veritytable.Table{
		Superblock: *s, RootHash: root, StartBlock: geometry.StartBlock,
		DataDevice: attachFile(t, v.data).Number(), HashDevice: attachFile(t, hash).Number(),
	}
	v.uuid = veritytable.DeviceUUID(s.UUID, "verified")
	return v
}

func (v verity) target() devmapper.Target {
	return devmapper.Target{Sectors: v.table.Sectors(), Type: "verity", Parameters: v.table.Line()}
}

func TestVeritysetupTakesTheDeviceForItsOwn(t *testing.T) {
	c := open(t)
	v := makeVerity(t)
	device, err := c.Create("verified", v.uuid, v.target())
	if err != nil {
		t.Fatal(err)
	}
	read, err := os.ReadFile(device.Node())
	content, _ := os.ReadFile(v.data)
	if err != nil || !bytes.Equal(read, content) {
		t.Errorf("read %d bytes, %v", len(read), err)
	}
	if status, err := c.Status("verified"); err != nil || !strings.HasPrefix(status, "V") {
		t.Errorf("status %q, %v", status, err)
	}
	if table, err := c.Table("verified"); err != nil || table != v.target() {
		t.Errorf("table %+v, %v", table, err)
	}
	status := run(t, "veritysetup", "status", "verified")
	for _, want := range []string{"is active", "VERITY", "verified", hex.EncodeToString(v.table.RootHash), "readonly"} {
		if !strings.Contains(status, want) {
			t.Errorf("veritysetup status has no %q: %s", want, status)
		}
	}
	run(t, "veritysetup", "close", "verified")
	if _, err := c.Find("verified"); !errors.Is(err, unix.ENXIO) {
		t.Errorf("after veritysetup close: %v", err)
	}
}

func TestDamageChangesTheStatus(t *testing.T) {
	c := open(t)
	v := makeVerity(t)
	file, err := os.OpenFile(v.data, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte("damage"), 77*4096+5); err != nil {
		t.Fatal(err)
	}
	device, err := c.Create("verified", v.uuid, v.target())
	if err != nil {
		t.Fatal(err)
	}
	if status, err := c.Status("verified"); err != nil || !strings.HasPrefix(status, "V") {
		t.Errorf("status %q before the first read, %v", status, err)
	}
	if _, err := os.ReadFile(device.Node()); !errors.Is(err, unix.EIO) {
		t.Errorf("read over the damage: %v", err)
	}
	if status, err := c.Status("verified"); err != nil || !strings.HasPrefix(status, "C") {
		t.Errorf("status %q after it, %v", status, err)
	}
	if err := c.Remove("verified"); err != nil {
		t.Error(err)
	}
}

func TestARefusedTableIsExplained(t *testing.T) {
	c := open(t)
	v := makeVerity(t)
	change := func(old, new string) devmapper.Target {
		target := v.target()
		target.Parameters = strings.Replace(target.Parameters, old, new, 1)
		return target
	}
	for _, test := range []struct {
		name   string
		target devmapper.Target
		want   string // in the kernel's words
	}{
		{"algorithm", change(" sha256 ", " nosuchhash "), "verity: Cannot initialize hash function"},
		{"device", change(" "+v.table.DataDevice+" ", " 99:99 "), "verity: Data device lookup failed"},
		{"root hash", change(hex.EncodeToString(v.table.RootHash), "00"), "verity: Invalid root digest"},
		{"too few words", devmapper.Target{Sectors: 8, Type: "verity", Parameters: "1"}, "verity: Not enough arguments"},
		{"unknown target", devmapper.Target{Sectors: 8, Type: "nosuchtarget", Parameters: "1"}, "nosuchtarget: unknown target type"},
		{"size", devmapper.Target{Sectors: 0, Type: "linear", Parameters: v.table.DataDevice + " 0"}, "zero-length target"},
		{"start", devmapper.Target{Start: 8, Sectors: 8, Type: "linear", Parameters: v.table.DataDevice + " 0"}, "linear: Gap in table"},
		{"beyond the device", devmapper.Target{Sectors: 1 << 20, Type: "linear", Parameters: v.table.DataDevice + " 0"}, "too small for target"},
	} {
		t.Run(test.name, func(t *testing.T) {
			device, err := c.Create("refused", "TEST-refused", test.target)
			refused, ok := errors.AsType[*devmapper.Error](err)
			if !ok || refused.Errno == nil || refused.Device != "refused" {
				t.Fatalf("%+v, %v", device, err)
			}
			if !strings.Contains(refused.KernelLog, test.want) || strings.Contains(refused.KernelLog, "device-mapper: ") ||
				strings.Contains(refused.KernelLog, "table: ") || strings.Contains(refused.KernelLog, "(-E") {
				t.Errorf("kernel log %q, want %q", refused.KernelLog, test.want)
			}
			if device, err := c.Find("refused"); !errors.Is(err, unix.ENXIO) {
				t.Errorf("left behind %+v, %v", device, err)
			}
		})
	}
}

// TestManyDevices makes minor numbers above 255, which are encoded otherwise.
func TestManyDevices(t *testing.T) {
	c := open(t)
	const count = 270
	for i := range count {
		name := fmt.Sprint("many", i)
		device, err := c.Create(name, "", devmapper.Target{Sectors: 8, Type: "error"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(fmt.Sprintf("/sys/block/dm-%d/dev", device.Minor))
		if want := fmt.Sprintf("%d:%d\n", device.Major, device.Minor); err != nil || string(text) != want {
			t.Fatalf("device %d: sysfs says %q, want %q, %v", i, text, want, err)
		}
	}
	for i := range count {
		if err := c.Remove(fmt.Sprint("many", i)); err != nil {
			t.Fatal(err)
		}
	}
}
