//go:build guest

package uevent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/uevent"
)

func listen(t *testing.T) *uevent.Listener {
	t.Helper()
	l, err := uevent.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// waitFor returns the first event that matches.
func waitFor(t *testing.T, l *uevent.Listener, match func(uevent.Event) bool) uevent.Event {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	var seen []string
	for {
		events, lost, err := l.Wait(deadline)
		if err != nil || lost || len(events) == 0 {
			t.Fatalf("%v, lost %v; seen %v", err, lost, seen)
		}
		for _, event := range events {
			if match(event) {
				return event
			}
			seen = append(seen, event.Action+"@"+event.Path)
		}
	}
}

func TestALoopDeviceIsHeard(t *testing.T) {
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	image, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	l := listen(t)
	device, err := loopdev.Attach(image, 0, 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	event := waitFor(t, l, func(e uevent.Event) bool {
		return e.Action == "change" && e.Properties["DEVNAME"] == filepath.Base(device.Path)
	})
	for key, want := range map[string]string{
		"ACTION": "change", "SUBSYSTEM": "block", "DEVTYPE": "disk", "DEVPATH": event.Path,
		"MAJOR": fmt.Sprint(device.Major), "MINOR": fmt.Sprint(device.Minor),
	} {
		if event.Properties[key] != want {
			t.Errorf("%s=%q, want %q", key, event.Properties[key], want)
		}
	}
	if _, err := os.Stat("/sys" + event.Path); err != nil {
		t.Error(err)
	}
}

func TestANewDeviceIsHeard(t *testing.T) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	l := listen(t)
	const number = 77
	if err := unix.IoctlSetInt(int(control.Fd()), unix.LOOP_CTL_ADD, number); err != nil {
		t.Fatal(err)
	}
	waitFor(t, l, func(e uevent.Event) bool { return e.Action == "add" && e.Properties["DEVNAME"] == "loop77" })
	if err := unix.IoctlSetInt(int(control.Fd()), unix.LOOP_CTL_REMOVE, number); err != nil {
		t.Fatal(err)
	}
	waitFor(t, l, func(e uevent.Event) bool { return e.Action == "remove" && e.Properties["DEVNAME"] == "loop77" })
}

// loopback is a device that is always there and tells about itself on request.
const loopback = "/sys/class/net/lo/uevent"

func TestEventsInABurstAllArrive(t *testing.T) {
	l := listen(t)
	const count = 500
	for range count {
		if err := os.WriteFile(loopback, []byte("change"), 0); err != nil {
			t.Fatal(err)
		}
	}
	got := 0
	for got < count {
		events, lost, err := l.Wait(time.Now().Add(10 * time.Second))
		if err != nil || lost || len(events) == 0 {
			t.Fatalf("%d of %d events, %v, lost %v", got, count, err, lost)
		}
		for _, event := range events {
			if event.Action == "change" && strings.HasSuffix(event.Path, "/net/lo") {
				got++
			}
		}
	}
}

func TestAnOverrunIsTold(t *testing.T) {
	l := listen(t)
	for range 20000 {
		if err := os.WriteFile(loopback, []byte("change"), 0); err != nil {
			t.Fatal(err)
		}
	}
	told := false
	for range 100 {
		events, lost, err := l.Wait(time.Now().Add(100 * time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		told = told || lost
		if len(events) == 0 && !lost {
			break
		}
	}
	if !told {
		t.Error("more events than fit the buffer, and none was lost")
	}
	// It goes on afterwards.
	if err := os.WriteFile(loopback, []byte("change"), 0); err != nil {
		t.Fatal(err)
	}
	waitFor(t, l, func(e uevent.Event) bool { return strings.HasSuffix(e.Path, "/net/lo") })
}

// TestOtherProcessesAreNotHeard sends what looks like an event of the kernel,
// to the kernel's group and to all groups, as root may.
func TestOtherProcessesAreNotHeard(t *testing.T) {
	l := listen(t)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	forged := []byte("add@/devices/forged\x00ACTION=add\x00DEVPATH=/devices/forged\x00SUBSYSTEM=block\x00SEQNUM=1\x00")
	for _, groups := range []uint32{1, 2, 3} {
		if err := unix.Sendto(fd, forged, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil && err != unix.ECONNREFUSED {
			t.Fatalf("groups %d: %v", groups, err)
		}
	}
	if err := os.WriteFile(loopback, []byte("change"), 0); err != nil {
		t.Fatal(err)
	}
	waitFor(t, l, func(e uevent.Event) bool {
		if e.Path == "/devices/forged" {
			t.Errorf("heard %+v", e)
		}
		return strings.HasSuffix(e.Path, "/net/lo")
	})
	// Alone, it does not end the wait early either.
	if err := unix.Sendto(fd, forged, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	events, lost, err := l.Wait(start.Add(300 * time.Millisecond))
	if len(events) != 0 || lost || err != nil || time.Since(start) < 300*time.Millisecond {
		t.Errorf("%v, %v, %v after %v", events, lost, err, time.Since(start))
	}
}
