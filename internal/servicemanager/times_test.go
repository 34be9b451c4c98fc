package servicemanager

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

const timeCall = " org.freedesktop.DBus.Properties.Get ss(org.freedesktop.systemd1."

func putTime(order byteOrder, microseconds uint64) func(e *encoder) {
	return func(e *encoder) {
		e.signature("t")
		e.align(8)
		e.data = order.AppendUint64(e.data, microseconds)
	}
}

func TestTimesAreRead(t *testing.T) {
	const unit = "/org/freedesktop/systemd1/unit/basic_2etarget"
	c := serve(t, func(s *server) {
		call := s.expect(managerPath + timeCall + "Manager, FinishTimestampMonotonic)")
		s.send(jobReply(call), binary.LittleEndian, "v", putTime(binary.LittleEndian, 12345678))
		call = s.expect(managerPath + timeCall + "Manager, UserspaceTimestampMonotonic)")
		s.send(jobReply(call), binary.BigEndian, "v", putTime(binary.BigEndian, 0))
		call = s.expect(managerCall + "GetUnit s(basic.target)")
		s.send(jobReply(call), binary.LittleEndian, "o", func(e *encoder) { e.text(unit) })
		call = s.expect(unit + timeCall + "Unit, ActiveEnterTimestampMonotonic)")
		s.send(jobReply(call), binary.LittleEndian, "v", putTime(binary.LittleEndian, 99))
	})
	if at, err := c.ManagerTime("FinishTimestampMonotonic"); at != 12345678*time.Microsecond || err != nil {
		t.Errorf("%v, %v", at, err)
	}
	if at, err := c.ManagerTime("UserspaceTimestampMonotonic"); at != 0 || err != nil {
		t.Errorf("%v, %v", at, err)
	}
	if at, err := c.UnitTime("ActiveEnterTimestampMonotonic", "basic.target"); at != 99*time.Microsecond || err != nil {
		t.Errorf("%v, %v", at, err)
	}
}

func TestWhatIsNoTime(t *testing.T) {
	for want, body := range map[string]struct {
		signature string
		put       func(e *encoder)
	}{
		`types "s", no variant`:          {"s", func(e *encoder) { e.text("x") }},
		`type "s", no number`:            {"v", putState("x")},
		errTruncated.Error():             {"v", func(e *encoder) { e.signature("t") }},
		"18446744073709551615 µs are no": {"v", putTime(binary.LittleEndian, 1<<64-1)},
	} {
		c := serve(t, func(s *server) { s.send(jobReply(s.receive()), binary.LittleEndian, body.signature, body.put) })
		if at, err := c.ManagerTime("T"); at != 0 || err == nil || !strings.HasPrefix(err.Error(), "read T: answer to Get: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want %s", at, err, want)
		}
	}
	c := serve(t, func(s *server) {
		refusal := message{kind: errorReply, errorName: NoSuchUnit, replySerial: s.receive().serial}
		s.send(refusal, binary.LittleEndian, "", nil)
		s.send(jobReply(s.receive()), binary.LittleEndian, "v", putState("no path"))
	})
	_, err := c.UnitTime("T", "x.target")
	if refused, ok := errors.AsType[*Error](err); !ok || refused.Name != NoSuchUnit {
		t.Errorf("%v", err)
	}
	if _, err := c.UnitTime("T", ""); err == nil || !strings.Contains(err.Error(), "the name is empty") {
		t.Errorf("%v", err)
	}
	if _, err := c.UnitTime("T", "x.target"); err == nil || !strings.Contains(err.Error(), "answer to GetUnit: ") {
		t.Errorf("%v", err)
	}
}
