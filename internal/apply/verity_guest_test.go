//go:build guest

package apply

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/veritytable"
)

// verityPlan makes loop devices of the two partitions of an image, and the plan to open them as NAME.
func verityPlan(t *testing.T, b built, name string) *plan.Verity {
	t.Helper()
	s, err := veritytable.ParseSuperblock(b.Data[b.HashStart:][:veritytable.SuperblockSize])
	if err != nil {
		t.Fatal(err)
	}
	geometry, err := s.Geometry(0)
	if err != nil {
		t.Fatal(err)
	}
	attach := func(content []byte) string {
		file := filepath.Join(t.TempDir(), "part")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		loop, err := loopdev.Attach(openFile(t, file), 0, 0, 4096)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { loop.Close() })
		return loop.Number()
	}
	return &plan.Verity{
		Name: name, UUID: veritytable.DeviceUUID(s.UUID, name), Probe: plan.Probe{Blocks: s.SampleBlocks()},
		Table: veritytable.Table{
			Superblock: *s, StartBlock: geometry.StartBlock, RootHash: b.RootHash,
			DataDevice: attach(b.Data[b.DataStart:][:b.DataSize]), HashDevice: attach(b.Data[b.HashStart:][:b.HashSize]),
		},
	}
}

func openControl(t *testing.T) *devmapper.Control {
	t.Helper()
	dm, err := devmapper.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dm.Close() })
	return dm
}

func TestOpenVerity(t *testing.T) {
	files := confextFiles("x")
	files["etc/large"] = strings.Repeat("enough for a tree with a level\n", 2000)
	b := image{files: files}.build(t)
	dm := openControl(t)
	v := verityPlan(t, b, "preroot-test")
	// A link of an earlier device must not lead the next step to another one.
	if err := os.Symlink("../dm-99", "/dev/mapper/preroot-test"); err != nil {
		t.Fatal(err)
	}
	device, err := OpenVerity(dm, v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(dm.Remove("preroot-test"), os.Remove("/dev/mapper/preroot-test")); err != nil {
			t.Error(err)
		}
	})
	if link, err := filepath.EvalSymlinks("/dev/mapper/preroot-test"); err != nil || link != device.Node() {
		t.Errorf("%s, %v", link, err)
	}
	record := fmt.Sprintf("/run/udev/data/b%d:%d", device.Major, device.Minor)
	t.Cleanup(func() { _ = os.Remove(record) })
	info, err := os.Stat(record)
	if err != nil || info.Mode() != 0o644|os.ModeSticky {
		t.Errorf("%v, %v", info, err)
	}
	if text, _ := os.ReadFile(record); string(text) != "E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\nV:1\n" {
		t.Errorf("%q", text)
	}
	if !device.ReadOnly || !device.Active || device.UUID != "CRYPT-VERITY-01020300000000000000000000000000-preroot-test" {
		t.Errorf("%+v", device)
	}
	// What cryptsetup says about it.
	output, err := exec.Command("veritysetup", "status", "preroot-test").CombinedOutput()
	for _, want := range []string{"is active", "status:      verified", b.Hash(), "mode:        readonly"} {
		if err != nil || !strings.Contains(string(output), want) {
			t.Errorf("no %q in\n%s (%v)", want, output, err)
		}
	}
	// A second device of the name is refused and does not disturb the first.
	if _, err := OpenVerity(dm, verityPlan(t, b, "preroot-test")); !errors.Is(err, unix.EBUSY) {
		t.Errorf("%v", err)
	}
	if found, err := dm.Find("preroot-test"); err != nil || found.Minor != device.Minor {
		t.Errorf("%+v, %v", found, err)
	}
	// The same will do where it may, and nothing else.
	v.AcceptExisting = true
	if found, err := OpenVerity(dm, v); err != nil || found.Minor != device.Minor {
		t.Errorf("%+v, %v", found, err)
	}
	other := *v
	other.Table.Options.OnCorruption = veritytable.Panic
	if found, err := OpenVerity(dm, &other); err == nil || !strings.Contains(err.Error(), "another table") {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestUdevIsNotWaitedForForEver has a socket of udev's, and nobody behind it.
func TestUdevIsNotWaitedForForEver(t *testing.T) {
	b := image{files: confextFiles("x")}.build(t)
	v := verityPlan(t, b, "preroot-alone")
	dm := openControl(t)
	if err := errors.Join(os.MkdirAll("/run/udev", 0o755), os.WriteFile(udevControl, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	udevLimit = 200 * time.Millisecond
	t.Cleanup(func() {
		udevLimit = 10 * time.Second
		_ = os.Remove(udevControl)
	})
	start := time.Now()
	device, err := OpenVerity(dm, v)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < udevLimit {
		t.Errorf("it took %v", took)
	}
	if !isLinked(v.Name, device) {
		t.Error("no link")
	}
	// The record is udev's business then.
	if _, err := os.Stat(recordPath(device)); !os.IsNotExist(err) {
		t.Errorf("the record: %v", err)
	}
	if err := os.Remove(udevControl); err != nil {
		t.Fatal(err)
	}
	if err := CloseVerity(t.Context(), dm, v.Name); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(mapperLinks + v.Name); !os.IsNotExist(err) {
		t.Errorf("the link: %v", err)
	}
}

// TestSideBySide has many open one device at once, each in the belief to be the only one.
func TestSideBySide(t *testing.T) {
	b := image{files: confextFiles("x")}.build(t)
	v := verityPlan(t, b, "preroot-race")
	v.AcceptExisting = true
	dm := openControl(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			own := *v
			if device, err := OpenVerity(dm, &own); err != nil || !device.Active {
				t.Errorf("%+v, %v", device, err)
			}
		})
	}
	all.Wait()
	if err := CloseVerity(t.Context(), dm, v.Name); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob("/dev/mapper/preroot-race"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestPanicWordsCanComeLater is for a device of which only error correction may read the start: the table has its
// words in the end, and the kernel did not panic.
func TestPanicWordsCanComeLater(t *testing.T) {
	b := image{files: confextFiles("x")}.build(t)
	dm := openControl(t)
	v := verityPlan(t, b, "preroot-careful")
	v.Table.Options = veritytable.Options{OnCorruption: veritytable.Panic, OnError: veritytable.Panic}
	v.Probe.Gently = true
	if _, err := OpenVerity(dm, v); err != nil {
		t.Fatal(err)
	}
	if target, err := dm.Table(v.Name); err != nil || !strings.HasSuffix(target.Parameters, " 2 panic_on_corruption panic_on_error") {
		t.Errorf("%+v, %v", target, err)
	}
	if err := CloseVerity(t.Context(), dm, v.Name); err != nil {
		t.Error(err)
	}
	v = verityPlan(t, b.Damage(b.DataStart+5), "preroot-careful")
	v.Table.Options.OnCorruption, v.Probe.Gently = veritytable.Panic, true
	if _, err := OpenVerity(dm, v); err == nil || !strings.Contains(err.Error(), "data block 0 is corrupted") {
		t.Errorf("%v", err)
	}
	if _, err := dm.Find(v.Name); !errors.Is(err, unix.ENXIO) {
		t.Errorf("the device is there: %v", err)
	}
}

func TestOpenVerityLeavesNothingBehindOnFailure(t *testing.T) {
	files := confextFiles("x")
	files["etc/large"] = strings.Repeat("enough for a tree with a level\n", 2000)
	b := image{files: files}.build(t)
	dm := openControl(t)
	const name = "preroot-broken"
	for what, c := range map[string]struct {
		b      built
		change func(v *plan.Verity)
		want   string
	}{
		// With the kernel's own words: "7:5: metadata block 1 is corrupted".
		"wrong root hash":     {b, func(v *plan.Verity) { v.Table.RootHash = make([]byte, 32) }, "metadata block 1 is corrupted)"},
		"corrupted block":     {b.Damage(b.DataStart + 5), nil, "read data block 0: "},
		"corrupted top block": {b.Damage(b.HashStart + 4096 + 5), nil, "read data block 0: "},
		"table refused":       {b, func(v *plan.Verity) { v.Table.Algorithm = "nohash" }, "load table"},
		"too many blocks":     {b, func(v *plan.Verity) { v.Table.DataBlocks = 1 << 30 }, "load table"},
		"no such device":      {b, func(v *plan.Verity) { v.Table.DataDevice = "250:250" }, "load table"},
		"name too long":       {b, func(v *plan.Verity) { v.Name = strings.Repeat("x", 200) }, ""},
		"empty name":          {b, func(v *plan.Verity) { v.Name = "" }, `device name ""`},
	} {
		t.Run(what, func(t *testing.T) {
			v := verityPlan(t, c.b, name)
			if c.change != nil {
				c.change(v)
			}
			_, err := OpenVerity(dm, v)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "open verity device ") {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := dm.Find(name); !errors.Is(err, unix.ENXIO) {
				t.Errorf("the device is there: %v", err)
			}
			if _, err := os.Lstat("/dev/mapper/" + name); !os.IsNotExist(err) {
				t.Errorf("the link is there: %v", err)
			}
		})
	}
}
