//go:build guest

package verity

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// startUdev runs the real systemd-udevd until the end of the test.
func startUdev(t *testing.T) {
	t.Helper()
	log, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	udevd := exec.Command("/usr/lib/systemd/systemd-udevd")
	udevd.Stdout, udevd.Stderr = log, log
	if err := udevd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = udevd.Process.Signal(unix.SIGTERM)
		_ = udevd.Wait()
		text, _ := os.ReadFile(log.Name())
		if t.Failed() {
			t.Logf("udevd said:\n%s", text)
		}
		// Whoever comes next has no udev.
		if err := os.RemoveAll("/run/udev"); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "udevd listens", func() bool {
		_, err := os.Stat("/run/udev/control")
		return err == nil
	})
}

// properties asks udev about a device: what it has to say of it, without times and numbers.
func properties(t *testing.T, node string) []string {
	t.Helper()
	if output, err := exec.Command("udevadm", "settle", "--timeout=30").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
	output, err := exec.Command("udevadm", "info", "--query=property", "--name="+node).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	var kept []string
	for line := range strings.Lines(string(output)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "DISKSEQ", "USEC_INITIALIZED":
			continue
		case "DEVLINKS":
			var links []string
			for _, link := range strings.Fields(value) {
				if !strings.Contains(link, "by-diskseq") {
					links = append(links, link)
				}
			}
			slices.Sort(links)
			value = strings.Join(links, " ")
		}
		kept = append(kept, name+"="+value)
	}
	slices.Sort(kept)
	return kept
}

// makeFileSystem makes an image that udev finds something on.
func makeFileSystem(t *testing.T) tree {
	t.Helper()
	i := tree{folder: t.TempDir()}
	source := t.TempDir()
	if output, err := exec.Command("mkfs.erofs", "--quiet", "-Uclear", i.path("data"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	i.formatTo(t, "hash")
	return i
}

// TestOpenAndCloseWithUdev compares with a device that the original has opened: udev has to know the same
// of both, when the call returns.
func TestOpenAndCloseWithUdev(t *testing.T) {
	i := makeFileSystem(t)
	startUdev(t)
	closeAtEnd(t, "udev")
	arguments := []string{"open", i.path("data"), "udev", i.path("hash"), i.root}
	theirs(t, arguments...).want(t, "their open")
	want := properties(t, "/dev/mapper/udev")
	ours(t, "close", "udev").want(t, "our close of theirs")
	wantNothingLeft(t)

	start := time.Now()
	ours(t, arguments...).want(t, "our open")
	took := time.Since(start)
	link, err := os.Readlink("/dev/mapper/udev")
	if err != nil || !strings.HasPrefix(link, "../dm-") {
		t.Errorf("%q, %v", link, err)
	}
	if got := properties(t, "/dev/mapper/udev"); !slices.Equal(got, want) {
		t.Errorf("ours:\n%s\ntheirs:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, property := range []string{"DM_NAME=udev", "DM_ACTIVATION=1", "ID_FS_TYPE=erofs"} {
		if !slices.Contains(want, property) {
			t.Errorf("no %s in %v", property, want)
		}
	}
	if took > 8*time.Second {
		t.Errorf("it took %v: udev was not waited for, but given up", took)
	}
	if output, err := exec.Command("dmsetup", "udevcookies").CombinedOutput(); err != nil || strings.Count(string(output), "\n") > 1 {
		t.Errorf("cookies are left: %s, %v", output, err)
	}
	theirs(t, "close", "udev").want(t, "their close of ours")
	wantNothingLeft(t)
	// Udev made the link, and takes it away.
	ours(t, arguments...).want(t, "our open")
	ours(t, "close", "udev").want(t, "our close")
	wantNothingLeft(t)
}

// TestUdevComesLater opens a device without udev, and starts it then, as the root after the initramfs does.
func TestUdevComesLater(t *testing.T) {
	i := makeFileSystem(t)
	closeAtEnd(t, "early")
	ours(t, "open", i.path("data"), "early", i.path("hash"), i.root).want(t, "open")
	startUdev(t)
	for _, arguments := range [][]string{{"trigger", "--type=all", "--action=add", "--subsystem-match=block"}, {"settle", "--timeout=30"}} {
		if output, err := exec.Command("udevadm", arguments...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	got := properties(t, "/dev/mapper/early")
	for _, property := range []string{"DM_NAME=early", "DM_ACTIVATION=1", "ID_FS_TYPE=erofs"} {
		if !slices.Contains(got, property) {
			t.Errorf("no %s in\n%s", property, strings.Join(got, "\n"))
		}
	}
	if slices.Contains(got, "SYSTEMD_READY=0") {
		t.Error("systemd would not take it")
	}
	ours(t, "close", "early").want(t, "close")
	wantNothingLeft(t)
}
