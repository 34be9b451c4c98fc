package uevent

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newListener listens on one end of a socket pair, whose messages have no
// netlink sender: all of them are from somebody else than the kernel.
func newListener(t *testing.T) (l *Listener, other int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l = &Listener{fd: fds[0], buf: make([]byte, 1024)}
	t.Cleanup(func() {
		l.Close()
		unix.Close(fds[1])
	})
	return l, fds[1]
}

func TestWaitEndsAtTheDeadline(t *testing.T) {
	l, _ := newListener(t)
	for _, wait := range []time.Duration{-time.Hour, 0, 50 * time.Millisecond} {
		start := time.Now()
		events, lost, err := l.Wait(start.Add(wait))
		took := time.Since(start)
		if len(events) != 0 || lost || err != nil || took < wait || took > max(wait, 0)+5*time.Second {
			t.Errorf("%v: %v, %v, %v after %v", wait, events, lost, err, took)
		}
	}
}

func TestOthersAreNotHeardAndDoNotKeepWaitFromItsEnd(t *testing.T) {
	l, other := newListener(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		message := []byte("add@/devices/virtual/block/loop0\x00ACTION=add\x00")
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = unix.Write(other, message)
			}
		}
	}()
	start := time.Now()
	events, lost, err := l.Wait(start.Add(50 * time.Millisecond))
	if len(events) != 0 || lost || err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v, %v, %v after %v", events, lost, err, time.Since(start))
	}
	close(stop)
	<-stopped
}

func TestAClosedListenerIsAnError(t *testing.T) {
	l := &Listener{fd: 1 << 20, buf: make([]byte, 1024)}
	if events, lost, err := l.Wait(time.Now().Add(time.Minute)); err == nil {
		t.Errorf("%v, %v", events, lost)
	}
}

func TestPollTakesAnyTime(t *testing.T) {
	l, other := newListener(t)
	if _, err := unix.Write(other, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, remaining := range []time.Duration{-1 << 63, -1, 0, 1, time.Hour, 1<<63 - 1} {
		if ready, err := l.poll(remaining); !ready || err != nil {
			t.Errorf("%d: %v, %v", remaining, ready, err)
		}
	}
}
