package servicemanager

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

const managerCall = managerPath + " " + managerInterface + "."

func TestUnitsAreRestarted(t *testing.T) {
	for want, call := range map[string]func(c *Connection) error{
		"RestartUnit ss(t1.service, replace)":         func(c *Connection) error { return c.RestartUnit("t1.service") },
		"ReloadOrRestartUnit ss(t1.service, replace)": func(c *Connection) error { return c.ReloadOrRestartUnit("t1.service") },
		"StopUnit ss(a@ü.service, replace)":           func(c *Connection) error { return c.StopUnit("a@ü.service") },
		"Reload ()":                                   func(c *Connection) error { return c.Reload() },
	} {
		c := serve(t, func(s *server) {
			for range 2 {
				s.returnJob(s.expect(managerCall + want))
			}
		})
		for range 2 {
			if err := call(c); err != nil {
				t.Errorf("%s: %v", want, err)
			}
		}
	}
}

func TestStatesAreRead(t *testing.T) {
	const unit = "/org/freedesktop/systemd1/unit/t1_2eservice"
	for property, read := range map[string]func(c *Connection, name string) (string, error){
		"LoadState": (*Connection).LoadState, "ActiveState": (*Connection).ActiveState,
	} {
		c := serve(t, func(s *server) {
			call := s.expect(managerCall + "LoadUnit s(t1.service)")
			s.send(jobReply(call), binary.LittleEndian, "o", func(e *encoder) { e.text(unit) })
			call = s.expect(unit + " org.freedesktop.DBus.Properties.Get ss(org.freedesktop.systemd1.Unit, " + property + ")")
			s.send(jobReply(call), binary.LittleEndian, "v", putState("not-found"))
		})
		if state, err := read(c, "t1.service"); state != "not-found" || err != nil {
			t.Errorf("%s %q, %v", property, state, err)
		}
	}
}

func TestARefusalKeepsTheManagersWords(t *testing.T) {
	c := serve(t, func(s *server) {
		for _, signature := range []string{"s", "", "u"} {
			refusal := message{kind: errorReply, errorName: NoSuchUnit, replySerial: s.receive().serial}
			s.send(refusal, binary.LittleEndian, signature, func(e *encoder) {
				if signature != "" {
					e.text("Unit t1.service not found.")
				}
			})
		}
		s.returnJob(s.receive())
	})
	want := `restart unit "t1.service": RestartUnit refused: Unit t1.service not found. (org.freedesktop.systemd1.NoSuchUnit)`
	for _, message := range []string{"Unit t1.service not found.", "", ""} {
		err := c.RestartUnit("t1.service")
		if refused, ok := errors.AsType[*Error](err); !ok || *refused != (Error{NoSuchUnit, message, "RestartUnit"}) {
			t.Errorf("%+v", err)
		}
		if err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		want = `restart unit "t1.service": RestartUnit refused: org.freedesktop.systemd1.NoSuchUnit`
	}
	if err := c.RestartUnit("t1.service"); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}

func TestRefusalsOnTheWayToAState(t *testing.T) {
	c := serve(t, func(s *server) {
		s.send(message{kind: errorReply, errorName: "a.b", replySerial: s.receive().serial}, binary.LittleEndian, "", nil)
		s.returnJob(s.receive())
		s.send(message{kind: errorReply, errorName: "a.b", replySerial: s.receive().serial}, binary.LittleEndian, "", nil)
	})
	for _, want := range []string{
		`read load state of unit "t1.service": LoadUnit refused: a.b`, `read load state of unit "t1.service": Get refused: a.b`,
	} {
		if state, err := c.LoadState("t1.service"); state != "" || err == nil || err.Error() != want {
			t.Errorf("%q, %v, want %s", state, err, want)
		}
	}
}

func TestAnswersOfOtherTypes(t *testing.T) {
	number := func(e *encoder) { e.uint32(7) }
	for want, replies := range map[string][]func(s *server, call message){
		"answer to LoadUnit: ": {
			func(s *server, call message) { s.send(jobReply(call), binary.LittleEndian, "u", number) },
			func(s *server, call message) { s.send(jobReply(call), binary.LittleEndian, "", nil) },
			func(s *server, call message) { s.send(jobReply(call), binary.LittleEndian, "s", number) },
		},
		"answer to Get: ": {
			func(s *server, call message) { s.send(jobReply(call), binary.LittleEndian, "s", number) },
			func(s *server, call message) { s.send(jobReply(call), binary.LittleEndian, "v", nil) },
			func(s *server, call message) {
				s.send(jobReply(call), binary.LittleEndian, "v", func(e *encoder) { e.signature("u"); number(e) })
			},
			func(s *server, call message) {
				s.send(jobReply(call), binary.LittleEndian, "v", func(e *encoder) { e.signature("s"); number(e) })
			},
		},
	} {
		for i, reply := range replies {
			c := serve(t, func(s *server) {
				if strings.Contains(want, "Get") {
					s.returnJob(s.receive())
				}
				reply(s, s.receive())
			})
			if state, err := c.LoadState("t1.service"); state != "" || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s%d: %q, %v", want, i, state, err)
			}
		}
	}
}

// TestNamesThatAreNotSent has a server that would be surprised by any of them.
func TestNamesThatAreNotSent(t *testing.T) {
	c := serve(t, (*server).waitForEnd)
	for _, name := range []string{"", "a\x00b.service", "a\xff.service", strings.Repeat("a", 256)} {
		for _, call := range []func(name string) error{c.RestartUnit, c.StopUnit, c.ReloadOrRestartUnit, func(name string) error {
			_, err := c.LoadState(name)
			return err
		}} {
			if err := call(name); err == nil || !strings.Contains(err.Error(), ": the name ") {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	c.Close()
}

// TestAReloadIsAskedForAgainAfterADisconnection is what happens when the manager executes itself anew. The
// connection is closed with the request read, or reset with it unread.
func TestAReloadIsAskedForAgainAfterADisconnection(t *testing.T) {
	for what, first := range map[string]func(s *server){
		"read":   func(s *server) { s.expect(managerCall + "Reload ()") },
		"unread": func(s *server) { time.Sleep(50 * time.Millisecond) },
	} {
		c, err := Dial(listen(t, func(s *server) {
			s.authenticate()
			first(s)
		}, func(s *server) {
			s.authenticate()
			s.returnJob(s.expect(managerCall + "Reload ()"))
			s.returnJob(s.expect(managerCall + "RestartUnit ss(t1.service, replace)"))
			s.waitForEnd()
		}), 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Reload(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := c.RestartUnit("t1.service"); err != nil {
			t.Errorf("%s: the call that follows: %v", what, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAReloadAfterADisconnectionNeedsAManager(t *testing.T) {
	hangUp := func(s *server) {
		s.authenticate()
		s.receive()
	}
	c, err := Dial(listen(t, hangUp, hangUp), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, c, c.Reload(), ErrDisconnected)

	c = serve(t, func(s *server) {
		s.receive()
		os.Remove(c.path)
	})
	if err := c.Reload(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	c.Close()
}

func TestAReloadHasMoreTime(t *testing.T) {
	reply := func(s *server) {
		call := s.receive()
		time.Sleep(600 * time.Millisecond)
		s.returnJob(call)
	}
	c := serve(t, reply)
	c.timeout = 300 * time.Millisecond
	if err := c.Reload(); err != nil {
		t.Error(err)
	}
	c = serve(t, func(s *server) {
		s.receive()
		s.waitForEnd()
	})
	c.timeout, c.reloadTimeout = 20*time.Millisecond, 50*time.Millisecond
	wantError(t, c, c.Reload(), os.ErrDeadlineExceeded)
}
