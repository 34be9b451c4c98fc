package servicemanager

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// stream is a connected socket. All of its calls end at the deadline.
type stream struct {
	fd       int
	deadline time.Time
}

// errTimeout says that the deadline passed.
var errTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string {
	return "wait for the service manager: " + os.ErrDeadlineExceeded.Error()
}
func (timeoutError) Unwrap() error { return os.ErrDeadlineExceeded }

// openStream connects to a socket in the file system.
func openStream(path string, deadline time.Time) (stream, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return stream{}, err
	}
	s := stream{fd: fd, deadline: deadline}
	if err := s.connect(path); err != nil {
		s.close()
		return stream{}, err
	}
	return s, nil
}

// connect waits while the listener's queue is full. poll(2) does not tell the end of that, but the
// timeout for sending bounds it (unix_stream_connect in Linux's net/unix/af_unix.c).
func (s *stream) connect(path string) error {
	for {
		remaining := time.Until(s.deadline)
		if remaining <= 0 {
			return errTimeout
		}
		// Zero would mean no timeout at all.
		timeout := unix.NsecToTimeval(max(remaining, time.Millisecond).Nanoseconds())
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout); err != nil {
			return err
		}
		switch err := unix.Connect(s.fd, &unix.SockaddrUnix{Name: path}); err {
		case nil:
			return unix.SetNonblock(s.fd, true)
		case unix.EINTR:
		case unix.EAGAIN:
			return errTimeout
		default:
			return err
		}
	}
}

func (s *stream) close() error { return unix.Close(s.fd) }

// maxPoll keeps the wait within what poll(2) takes.
const maxPoll = time.Hour

// wait returns when there may be something to read or room to write.
func (s *stream) wait(events int16) error {
	remaining := time.Until(s.deadline)
	if remaining <= 0 {
		return errTimeout
	}
	// Rounded up, so that the last millisecond is not spent in a loop.
	milliseconds := (min(remaining, maxPoll) + time.Millisecond - 1) / time.Millisecond
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: events}}, int(milliseconds))
	if err == unix.EINTR {
		return nil
	}
	return err
}

// read fills the buffer. The error is ErrDisconnected if the connection ends before the first byte,
// and matches io.ErrUnexpectedEOF if it does later.
func (s *stream) read(buffer []byte) error {
	for done := 0; done < len(buffer); {
		// The wait comes first, so that a manager that never stops sending does not outlast the deadline.
		if err := s.wait(unix.POLLIN); err != nil {
			return err
		}
		n, err := unix.Read(s.fd, buffer[done:])
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		// It is reset if the manager has not read all that it was sent.
		case err == unix.ECONNRESET || (err == nil && n == 0):
			if done > 0 {
				return withinMessage(ErrDisconnected)
			}
			return ErrDisconnected
		case err != nil:
			return fmt.Errorf("read from the service manager: %w", err)
		default:
			done += n
		}
	}
	return nil
}

// withinMessage makes a disconnection one in the middle of a message, which no manager does that
// goes on properly.
func withinMessage(err error) error {
	if errors.Is(err, ErrDisconnected) {
		return fmt.Errorf("read message of the service manager: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// write sends the whole buffer, without SIGPIPE.
func (s *stream) write(buffer []byte) error {
	for len(buffer) > 0 {
		if err := s.wait(unix.POLLOUT); err != nil {
			return err
		}
		n, err := unix.SendmsgN(s.fd, buffer, nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			buffer = buffer[n:]
		case unix.EINTR, unix.EAGAIN:
		case unix.EPIPE, unix.ECONNRESET:
			return ErrDisconnected
		default:
			return fmt.Errorf("write to the service manager: %w", err)
		}
	}
	return nil
}
