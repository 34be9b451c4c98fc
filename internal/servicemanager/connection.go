package servicemanager

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/preroot/preroot/internal/sentinel"
)

// ErrDisconnected says that the manager closed the connection between two messages.
const ErrDisconnected = sentinel.Error("the service manager closed the connection")

// Connection is a connection to a manager. It is not for concurrent use.
//
// After an error other than *Error, such as a timeout, it is of no use any more: an answer that
// comes late would have to be told from others. Only Reload mends a disconnection.
type Connection struct {
	path    string
	timeout time.Duration
	// reloadTimeout is ReloadTimeout, but for tests.
	reloadTimeout time.Duration

	stream stream
	// serial is that of the last message sent.
	serial uint32
	// broken is why the connection is of no use any more.
	broken error
}

// Dial connects to the manager that listens at a path, usually Socket, and authenticates. That may
// take as long as the timeout, and so may each call on the connection but Reload. sd-bus has 25 s for a call.
//
// An error that matches os.ErrNotExist says that no systemd runs here, one that matches
// os.ErrPermission that the caller is not root, and one that matches os.ErrDeadlineExceeded, here as
// in all other calls, that the manager did not answer in time.
func Dial(path string, timeout time.Duration) (*Connection, error) {
	c := &Connection{path: path, timeout: timeout, reloadTimeout: ReloadTimeout}
	if err := c.connect(); err != nil {
		return nil, err
	}
	return c, nil
}

// connect puts a new stream in the place of none, or of one that is closed.
func (c *Connection) connect() error {
	stream, err := openStream(c.path, time.Now().Add(c.timeout))
	if err != nil {
		return fmt.Errorf("connect to service manager at %s: %w", c.path, err)
	}
	if err := stream.authenticate(os.Geteuid()); err != nil {
		stream.close()
		return fmt.Errorf("authenticate to service manager at %s: %w", c.path, err)
	}
	c.stream, c.serial, c.broken = stream, 0, nil
	return nil
}

// Close ends the connection. What the manager was asked for goes on.
func (c *Connection) Close() error {
	before := c.broken
	c.broken = os.ErrClosed
	switch {
	case before == nil:
		return c.stream.close()
	case errors.Is(before, os.ErrClosed):
		return before
	}
	return nil // It is closed since it broke.
}

// call sends a method call and waits for the answer to it. An *Error is the manager's refusal; any
// other error ends the connection.
func (c *Connection) call(deadline time.Time, request message) (message, error) {
	if c.broken != nil {
		return message{}, fmt.Errorf("the connection is of no use any more: %w", c.broken)
	}
	c.serial++
	request.kind, request.serial, request.order = methodCall, c.serial, binary.LittleEndian
	c.stream.deadline = deadline
	answer, err := c.stream.exchange(request)
	if err != nil {
		c.stream.close()
		c.broken = err
		return message{}, err
	}
	if answer.kind == errorReply {
		// The text is optional, and what is wrong with it matters less than the error it is about.
		text, _ := answer.text()
		return message{}, &Error{Name: answer.errorName, Message: text, Method: request.member}
	}
	return answer, nil
}

// exchange sends a request and returns the answer to it. Signals, and whatever else is no answer to
// this request, are skipped, until the deadline.
func (s *stream) exchange(request message) (message, error) {
	if err := s.write(request.encode()); err != nil {
		return message{}, err
	}
	for {
		m, err := s.receive()
		if err != nil {
			return message{}, err
		}
		if (m.kind == methodReturn || m.kind == errorReply) && m.replySerial == request.serial {
			return m, nil
		}
	}
}

// receive reads one message.
func (s *stream) receive() (message, error) {
	head := make([]byte, fixedSize)
	if err := s.read(head); err != nil {
		return message{}, err
	}
	size, err := messageSize(head)
	if err != nil {
		return message{}, fmt.Errorf("read message of the service manager: %w", err)
	}
	data := make([]byte, size)
	copy(data, head)
	if err := s.read(data[fixedSize:]); err != nil {
		return message{}, withinMessage(err)
	}
	m, err := parseMessage(data)
	if err != nil {
		return message{}, fmt.Errorf("read message of the service manager: %w", err)
	}
	return m, nil
}
