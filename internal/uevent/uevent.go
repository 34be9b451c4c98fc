// Package uevent listens to the kernel's device events (kobject uevents,
// kernel Documentation/core-api/kobject.rst) on a netlink socket.
//
// It hears the kernel only: messages that udev sends to its own group, or any
// process sends at all, are dropped by their sender address.
package uevent

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Event is one message of the kernel.
type Event struct {
	// Action is "add", "change", "remove", "bind", ...
	Action string
	// Path is the device's directory below /sys.
	Path string
	// Properties holds the KEY=value lines, e.g. SUBSYSTEM, DEVNAME, MODALIAS.
	Properties map[string]string
}

// kernelGroup is the multicast group of the kernel's own events.
const kernelGroup = 1

// Listener receives events. It is not for concurrent use.
type Listener struct {
	fd  int
	buf []byte
}

// Listen opens the socket. Events from now on are kept until they are read, up
// to the socket's buffer of 1 MiB.
func Listen() (*Listener, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("open uevent socket: %w", err)
	}
	// Without the privilege the default stays; a lost event is told by ENOBUFS.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind uevent socket: %w", err)
	}
	return &Listener{fd: fd, buf: make([]byte, 16<<10)}, nil
}

// Wait returns the events that have arrived, waiting for the first one at most
// until the deadline. No event means that the deadline passed. lost says that
// the buffer ran over, and the caller must look at all devices again.
func (l *Listener) Wait(deadline time.Time) (events []Event, lost bool, err error) {
	for {
		ready, err := l.poll(time.Until(deadline))
		if err != nil {
			return nil, false, fmt.Errorf("wait for uevents: %w", err)
		}
		if ready {
			events, lost, err = l.drain()
			if err != nil || lost || len(events) > 0 {
				return events, lost, err
			}
		}
		// What is not from the kernel must not keep anybody here.
		if !time.Now().Before(deadline) {
			return nil, false, nil
		}
	}
}

// maxPoll keeps the wait within what poll(2) takes.
const maxPoll = time.Hour

// poll waits for a message, but not longer than the time remaining.
func (l *Listener) poll(remaining time.Duration) (ready bool, err error) {
	remaining = min(max(remaining, 0), maxPoll)
	// Rounded up, so that the last millisecond is not spent in a loop.
	milliseconds := (remaining + time.Millisecond - 1) / time.Millisecond
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}, int(milliseconds))
	if err == unix.EINTR {
		return false, nil
	}
	return n > 0, err
}

// maxBatch bounds what is read at a time, so that whoever floods the socket
// cannot hold up the caller.
const maxBatch = 4096

// drain reads what is there without waiting.
func (l *Listener) drain() (events []Event, lost bool, err error) {
	for range maxBatch {
		n, from, err := unix.Recvfrom(l.fd, l.buf, 0)
		switch err {
		case nil:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return events, lost, nil
		case unix.ENOBUFS:
			lost = true
			continue
		default:
			return events, lost, fmt.Errorf("receive uevent: %w", err)
		}
		sender, ok := from.(*unix.SockaddrNetlink)
		if !ok || sender.Pid != 0 {
			continue
		}
		if event, ok := Parse(l.buf[:n]); ok {
			events = append(events, event)
		}
	}
	return events, lost, nil
}

// Close ends the listening.
func (l *Listener) Close() error { return unix.Close(l.fd) }

// Parse takes a message of the kernel apart: "ACTION@PATH" and KEY=value
// strings, each ended by a NUL byte. ok is false for anything else.
func Parse(message []byte) (event Event, ok bool) {
	parts := strings.Split(strings.TrimSuffix(string(message), "\x00"), "\x00")
	action, path, found := strings.Cut(parts[0], "@")
	if !found || action == "" || !strings.HasPrefix(path, "/") {
		return Event{}, false
	}
	event = Event{Action: action, Path: path, Properties: make(map[string]string, len(parts)-1)}
	for _, part := range parts[1:] {
		if key, value, found := strings.Cut(part, "="); found && key != "" {
			event.Properties[key] = value
		}
	}
	return event, true
}
