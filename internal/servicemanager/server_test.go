package servicemanager

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is the manager's end of a connection.
type server struct {
	t    *testing.T
	conn net.Conn
	// serial is that of the last message sent.
	serial uint32
}

// socketPath returns a path for a socket, which has to be shorter than those of t.TempDir may be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "private")
}

// listen serves connections, one after another, each with its script. The test ends when all of them
// have.
func listen(t *testing.T, scripts ...func(s *server)) (path string) {
	t.Helper()
	path = socketPath(t)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetDeadline(time.Now().Add(30 * time.Second))
	var running sync.WaitGroup
	running.Go(func() {
		defer listener.Close()
		for i, script := range scripts {
			conn, err := listener.Accept()
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			script(&server{t: t, conn: conn})
			conn.Close()
		}
	})
	t.Cleanup(running.Wait)
	return path
}

// serve connects to a server that authenticates and then does what the script says.
func serve(t *testing.T, script func(s *server)) *Connection {
	t.Helper()
	c, err := Dial(listen(t, func(s *server) {
		s.authenticate()
		script(s)
	}), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// authenticate accepts the client. Like sd-bus it wants BEGIN before it answers: see the client's
// authenticate.
func (s *server) authenticate() {
	want := "\x00AUTH EXTERNAL " + hex.EncodeToString([]byte(strconv.Itoa(os.Geteuid()))) + "\r\nBEGIN\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(s.conn, got); err != nil || string(got) != want {
		s.t.Errorf("authentication %q, %v; want %q", got, err, want)
	}
	s.write([]byte("OK 3e075660b8704c9ea2fbc181339b16e6\r\n"))
}

func (s *server) write(data []byte) {
	if _, err := s.conn.Write(data); err != nil {
		s.t.Errorf("write: %v", err)
	}
}

// receive reads a message of the client. Only its parser is shared.
func (s *server) receive() message {
	head := make([]byte, 16)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		s.t.Errorf("read a call: %v", err)
		return message{}
	}
	if head[0] != 'l' || head[1] != 1 || head[2] != 0 {
		s.t.Errorf("a call starts with % x", head)
	}
	fields, body := binary.LittleEndian.Uint32(head[12:]), binary.LittleEndian.Uint32(head[4:])
	rest := make([]byte, (fields+7)/8*8+body)
	if _, err := io.ReadFull(s.conn, rest); err != nil {
		s.t.Errorf("read a call: %v", err)
	}
	m, err := parseMessage(append(head, rest...))
	if err != nil {
		s.t.Errorf("parse a call: %v", err)
	}
	return m
}

// describe tells a call in a line.
func describe(m message) string {
	d := decoder{data: m.body, order: m.order}
	var arguments []string
	for range m.signature {
		arguments = append(arguments, d.text())
	}
	if d.err != nil || d.offset != len(m.body) {
		return fmt.Sprintf("arguments % x, %v", m.body, d.err)
	}
	return fmt.Sprintf("%s %s.%s %s(%s)", m.path, m.iface, m.member, m.signature, strings.Join(arguments, ", "))
}

// expect reads a call and compares it.
func (s *server) expect(want string) message {
	m := s.receive()
	if got := describe(m); got != want {
		s.t.Errorf("called %s, want %s", got, want)
	}
	return m
}

// send sends a message with the values of the body.
func (s *server) send(m message, order byteOrder, signature string, body func(e *encoder)) {
	s.write(s.encode(m, order, signature, body))
}

func (s *server) encode(m message, order byteOrder, signature string, body func(e *encoder)) []byte {
	s.serial++
	e := encoder{order: order}
	if body != nil {
		body(&e)
	}
	m.order, m.serial, m.signature, m.body = order, s.serial, signature, e.data
	return m.encode()
}

const jobPath = "/org/freedesktop/systemd1/job/4711"

func jobReply(call message) message { return message{kind: methodReturn, replySerial: call.serial} }

func putJob(e *encoder) { e.text(jobPath) }

func putState(state string) func(e *encoder) {
	return func(e *encoder) {
		e.signature("s")
		e.text(state)
	}
}

// returnJob answers a call as the manager does after it has queued a job.
func (s *server) returnJob(call message) {
	s.send(jobReply(call), binary.LittleEndian, "o", putJob)
}

// signals sends what the manager tells everybody.
func (s *server) signals() {
	m := message{kind: signal, path: managerPath, iface: managerInterface, member: "UnitNew"}
	s.send(m, binary.LittleEndian, "so", func(e *encoder) {
		e.text("t1.service")
		e.text("/org/freedesktop/systemd1/unit/t1_2eservice")
	})
}

// waitForEnd returns when the client has closed the connection, with something unread or not.
func (s *server) waitForEnd() {
	if n, err := io.Copy(io.Discard, s.conn); (err != nil && !errors.Is(err, syscall.ECONNRESET)) || n > 0 {
		s.t.Errorf("%d bytes more, %v", n, err)
	}
}

// wantError checks an error and that the connection is of no use after it.
func wantError(t *testing.T, c *Connection, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	if err := c.StopUnit("t1.service"); !errors.Is(err, want) {
		t.Errorf("the next call: %v, want %v", err, want)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
