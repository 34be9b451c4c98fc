package servicemanager

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRefusedAuthentication(t *testing.T) {
	for want, script := range map[string]func(s *server){
		`is not accepted: "REJECTED EXTERNAL ANONYMOUS"`: func(s *server) { s.write([]byte("REJECTED EXTERNAL ANONYMOUS\r\nERROR\r\n")) },
		`is not accepted: "OKAY"`:                        func(s *server) { s.write([]byte("OKAY\r\n")) },
		`is not accepted: ""`:                            func(s *server) { s.write([]byte("\r\n")) },
		"line of more than 1024 bytes":                   func(s *server) { s.write([]byte(strings.Repeat("OK ", 1000))) },
		ErrDisconnected.Error():                          func(*server) {},
	} {
		path := listen(t, func(s *server) {
			io.ReadFull(s.conn, make([]byte, 26))
			script(s)
		})
		c, err := Dial(path, 20*time.Second)
		if c != nil || err == nil || !strings.HasPrefix(err.Error(), "authenticate to service manager at "+path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestDialWithoutAManager(t *testing.T) {
	path := socketPath(t)
	if _, err := Dial(path, time.Second); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("no socket: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(path, time.Second); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("no listener: %v", err)
	}
	if _, err := Dial(strings.Repeat("/long", 100), time.Second); !errors.Is(err, unix.EINVAL) {
		t.Errorf("long path: %v", err)
	}
	if _, err := Dial(path, 0); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no time: %v", err)
	}
}

// endsInTime runs what is to fail by its deadline.
func endsInTime(t *testing.T, what string, timeout time.Duration, do func() error) {
	t.Helper()
	start := time.Now()
	err := do()
	took := time.Since(start)
	if !errors.Is(err, os.ErrDeadlineExceeded) || took < timeout || took > timeout+10*time.Second {
		t.Errorf("%s: %v after %v", what, err, took)
	}
}

func TestTheDeadlineEndsTheAuthentication(t *testing.T) {
	const timeout = 100 * time.Millisecond
	dial := func(path string) func() error {
		return func() error {
			_, err := Dial(path, timeout)
			return err
		}
	}
	endsInTime(t, "silence", timeout, dial(listen(t, func(s *server) { io.Copy(io.Discard, s.conn) })))
	endsInTime(t, "half a line", timeout, dial(listen(t, func(s *server) {
		s.write([]byte("OK "))
		io.Copy(io.Discard, s.conn)
	})))

	// A listener that accepts nobody, until its queue is full.
	path := socketPath(t)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	queued, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer queued.Close()
	endsInTime(t, "full queue", timeout, dial(path))
}

func TestTheDeadlineEndsACall(t *testing.T) {
	const timeout = 100 * time.Millisecond
	for what, script := range map[string]func(s *server){
		"silence": func(s *server) {
			s.receive()
			s.waitForEnd()
		},
		"half a header": func(s *server) {
			s.receive()
			s.write([]byte("l\x02\x00\x01\x00\x00"))
			s.waitForEnd()
		},
		"half a message": func(s *server) {
			call := s.receive()
			reply := s.encode(jobReply(call), binary.LittleEndian, "o", putJob)
			s.write(reply[:len(reply)-1])
			s.waitForEnd()
		},
		"nothing but signals": func(s *server) {
			s.receive()
			noise := s.encode(message{kind: signal, path: "/a", iface: "b.c", member: "D"}, binary.LittleEndian, "", nil)
			for {
				if _, err := s.conn.Write(noise); err != nil {
					return
				}
			}
		},
	} {
		c := serve(t, script)
		c.timeout = timeout
		endsInTime(t, what, timeout, func() error { return c.RestartUnit("t1.service") })
		c.Close()
	}
}

func TestWhatIsNoAnswerIsSkipped(t *testing.T) {
	c := serve(t, func(s *server) {
		s.signals()
		call := s.receive()
		for range 500 {
			s.signals()
		}
		// Of another call, and of none.
		late := message{kind: errorReply, errorName: "a.b", replySerial: call.serial + 1000}
		s.send(late, binary.LittleEndian, "", nil)
		s.send(message{kind: methodCall, path: "/", member: "Ping", replySerial: call.serial}, binary.LittleEndian, "", nil)
		s.send(message{kind: signal, path: "/", replySerial: call.serial}, binary.LittleEndian, "", nil)
		s.send(message{kind: 77, replySerial: call.serial}, binary.BigEndian, "", nil)
		s.returnJob(call)
		s.send(jobReply(s.receive()), binary.LittleEndian, "v", putState("loaded"))
	})
	if state, err := c.LoadState("t1.service"); state != "loaded" || err != nil {
		t.Errorf("%q, %v", state, err)
	}
}

func TestBigEndianAnswers(t *testing.T) {
	c := serve(t, func(s *server) {
		call := s.receive()
		s.send(message{kind: signal, path: "/", iface: "a.b", member: "C"}, binary.BigEndian, "o", putJob)
		s.send(jobReply(call), binary.BigEndian, "o", putJob)
		call = s.expect(jobPath + " org.freedesktop.DBus.Properties.Get ss(org.freedesktop.systemd1.Unit, ActiveState)")
		s.send(jobReply(call), binary.BigEndian, "v", putState("active"))
		refusal := message{kind: errorReply, errorName: LoadFailed, replySerial: s.receive().serial}
		s.send(refusal, binary.BigEndian, "s", func(e *encoder) { e.text("Unit is bad.") })
	})
	if state, err := c.ActiveState("t1.service"); state != "active" || err != nil {
		t.Errorf("%q, %v", state, err)
	}
	refused, ok := errors.AsType[*Error](c.RestartUnit("t1.service"))
	if !ok || *refused != (Error{LoadFailed, "Unit is bad.", "RestartUnit"}) {
		t.Errorf("%+v", refused)
	}
}

func TestSplitAnswers(t *testing.T) {
	c := serve(t, func(s *server) {
		call := s.receive()
		reply := s.encode(jobReply(call), binary.LittleEndian, "o", putJob)
		for i := range reply {
			s.write(reply[i : i+1])
			time.Sleep(100 * time.Microsecond)
		}
		// Two messages in one.
		call = s.receive()
		two := s.encode(message{kind: signal}, binary.LittleEndian, "o", putJob)
		s.write(append(two, s.encode(jobReply(call), binary.LittleEndian, "v", putState("failed"))...))
	})
	if state, err := c.ActiveState("t1.service"); state != "failed" || err != nil {
		t.Errorf("%q, %v", state, err)
	}
}

// TestLongMessagesAreRefused sends no more than the sizes: the client must not wait for the rest,
// nor make room for it.
func TestLongMessagesAreRefused(t *testing.T) {
	for want, head := range map[string]struct {
		order        byteOrder
		mark         string
		body, fields uint32
	}{
		"the body has 1048577 bytes":      {binary.LittleEndian, "l", 1<<20 + 1, 16},
		"the body has 4294967295 bytes":   {binary.BigEndian, "B", 1<<32 - 1, 16},
		"the header has 65537 bytes":      {binary.LittleEndian, "l", 0, 64<<10 + 1},
		"the header has 4294967295 bytes": {binary.BigEndian, "B", 0, 1<<32 - 1},
	} {
		c := serve(t, func(s *server) {
			s.receive()
			data := []byte(head.mark + "\x04\x00\x01")
			data = head.order.AppendUint32(data, head.body)
			data = head.order.AppendUint32(data, 1)
			s.write(head.order.AppendUint32(data, head.fields))
			s.waitForEnd()
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.RestartUnit("t1.service")
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<19 {
			t.Errorf("%s: %d bytes allocated", want, allocated)
		}
		if err := c.RestartUnit("t1.service"); err == nil || !strings.Contains(err.Error(), "of no use any more") {
			t.Errorf("the next call: %v", err)
		}
	}
}

func TestDisconnections(t *testing.T) {
	c := serve(t, func(s *server) { s.receive() })
	wantError(t, c, c.RestartUnit("t1.service"), ErrDisconnected)

	// With the call unread, or before it is written.
	c = serve(t, func(*server) {})
	wantError(t, c, c.RestartUnit("t1.service"), ErrDisconnected)

	for _, cut := range []int{1, 15, 16, 17, 40} {
		c = serve(t, func(s *server) {
			call := s.receive()
			s.signals()
			s.write(s.encode(jobReply(call), binary.LittleEndian, "o", putJob)[:cut])
		})
		wantError(t, c, c.Reload(), io.ErrUnexpectedEOF)
	}
}

func TestJunkEndsTheConnection(t *testing.T) {
	c := serve(t, func(s *server) {
		s.receive()
		s.write([]byte("HTTP/1.1 400 Bad Request\r\n"))
		s.waitForEnd()
	})
	if err := c.RestartUnit("t1.service"); err == nil || !strings.Contains(err.Error(), `byte order 'H' is not known`) {
		t.Errorf("%v", err)
	}
}

func TestClose(t *testing.T) {
	c := serve(t, (*server).waitForEnd)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if err := c.Reload(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reload: %v", err)
	}
}
