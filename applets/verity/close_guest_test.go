//go:build guest

package verity

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCloseTakesEverythingWithIt(t *testing.T) {
	i := format(t, 16<<10)
	closeAtEnd(t, "closed")
	ours(t, "open", i.path("data"), "closed", i.path("hash"), i.root).want(t, "open")
	device, err := deviceMapper(t).Find("closed")
	if err != nil {
		t.Fatal(err)
	}
	record := "/run/udev/data/b" + device.Number()
	if _, err := os.Stat(record); err != nil {
		t.Error(err)
	}
	if target, err := os.Readlink("/dev/mapper/closed"); err != nil || "/dev/mapper/"+target != "/dev/mapper/.."+strings.TrimPrefix(device.Node(), "/dev") {
		t.Errorf("%q, %v", target, err)
	}
	if a := ours(t, "-v", "close", "closed"); a != (answer{stdout: "Command successful.\n"}) {
		t.Errorf("%+v", a)
	}
	wantNothingLeft(t)
	if _, err := os.Stat(record); !os.IsNotExist(err) {
		t.Errorf("the record: %v", err)
	}
	for _, arguments := range [][]string{{"-v", "close", "closed"}, {"-v", "close", "--deferred", "closed"}, {"close", "--cancel-deferred", "closed"}} {
		if a, b := ours(t, arguments...), theirs(t, arguments...); a != b || a.code != exitDevice {
			t.Errorf("%v: ours %+v, theirs %+v", arguments, a, b)
		}
	}
	// A node, as the original makes it, goes as well.
	theirs(t, "open", i.path("data"), "closed", i.path("hash"), i.root).want(t, "their open")
	ours(t, "close", "/dev/mapper/closed").want(t, "close by path")
	wantNothingLeft(t)
}

// TestCloseOfADeviceInUse compares with the original but for its 25 lines.
func TestCloseOfADeviceInUse(t *testing.T) {
	i := format(t, 16<<10)
	closeAtEnd(t, "used")
	ours(t, "open", i.path("data"), "used", i.path("hash"), i.root).want(t, "open")
	file, err := os.Open("/dev/mapper/used")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	start := time.Now()
	a := ours(t, "close", "used")
	if a.stderr != "Device used is held open by a program.\nDevice used is still in use.\n" || a.code != exitBusy || time.Since(start) < 4*time.Second {
		t.Errorf("%+v after %v", a, time.Since(start))
	}
	if a, b := ours(t, "status", "used"), theirs(t, "status", "used"); a != b || !strings.Contains(a.stdout, "is active and is in use.") {
		t.Errorf("ours %+v, theirs %+v", a, b)
	}
	for _, step := range []struct {
		arguments []string
		deferred  bool
	}{
		{[]string{"-v", "close", "--deferred", "used"}, true},
		{[]string{"-v", "close", "--deferred", "used"}, true},
		{[]string{"-v", "close", "--cancel-deferred", "used"}, false},
		{[]string{"-v", "close", "--cancel-deferred", "used"}, false},
	} {
		own := ours(t, step.arguments...)
		if _, err := os.Readlink("/dev/mapper/used"); (err == nil) == step.deferred {
			t.Errorf("%v: link %v", step.arguments, err)
		}
		if shown := ours(t, "status", "--json", "used").stdout; strings.Contains(shown, `"deferredRemoval": true`) != step.deferred {
			t.Errorf("%v: %s", step.arguments, shown)
		}
		if other := theirs(t, step.arguments...); own != other || own.code != 0 {
			t.Errorf("%v: ours %+v, theirs %+v", step.arguments, own, other)
		}
	}
	ours(t, "close", "--deferred", "used")
	file.Close()
	eventually(t, "the device goes with its last user", func() bool { return ours(t, "status", "used").code == exitDevice })
	wantNothingLeft(t)
}

func TestCloseWaitsForAShortUser(t *testing.T) {
	i := format(t, 16<<10)
	closeAtEnd(t, "busy")
	ours(t, "open", i.path("data"), "busy", i.path("hash"), i.root).want(t, "open")
	file, err := os.Open("/dev/mapper/busy")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { file.Close() })
	ours(t, "close", "busy").want(t, "close")
	wantNothingLeft(t)
}

// TestCloseNamesTheUsers has the device mounted, and another device made of it.
func TestCloseNamesTheUsers(t *testing.T) {
	folder := t.TempDir()
	source := filepath.Join(folder, "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	i := tree{folder: folder}
	if output, err := exec.Command("mkfs.erofs", "--quiet", i.path("data"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	i.formatTo(t, "hash")
	for _, name := range []string{"lower", "upper"} {
		closeAtEnd(t, name)
	}
	ours(t, "open", i.path("data"), "lower", i.path("hash"), i.root).want(t, "open")
	ours(t, "open", "/dev/mapper/lower", "upper", i.path("hash"), i.root).want(t, "open upon it")
	// Another device made of it: at once, as the original.
	own, other := ours(t, "close", "lower"), theirs(t, "close", "lower")
	if own.stderr != "Device lower is used by /dev/mapper/upper.\n"+other.stderr || own.code != other.code || own.code != exitBusy {
		t.Errorf("ours %+v, theirs %+v", own, other)
	}
	if a, b := ours(t, "status", "upper"), theirs(t, "status", "upper"); a != b {
		t.Errorf("ours %+v, theirs %+v", a, b)
	}
	ours(t, "close", "upper").want(t, "close of the upper")
	mount := filepath.Join(folder, "mount")
	if err := os.MkdirAll(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/dev/mapper/lower", mount, "erofs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if a := ours(t, "close", "lower"); a.stderr != "Device lower is mounted on "+mount+".\nDevice lower is still in use.\n" {
		t.Errorf("%+v", a)
	}
	if err := unix.Unmount(mount, 0); err != nil {
		t.Fatal(err)
	}
	ours(t, "close", "lower").want(t, "close")
	wantNothingLeft(t)
}
