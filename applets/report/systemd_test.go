package report

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// serveTimes is a service manager that knows these properties, in microseconds, by "Property" or "unit Property"; a unit of
// which it knows none is not loaded. It returns the socket's path.
func serveTimes(t *testing.T, times map[string]uint64) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "private")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		greeting := make([]byte, 0, 128)
		for !strings.HasSuffix(string(greeting), "BEGIN\r\n") {
			one := make([]byte, 1)
			if _, err := io.ReadFull(conn, one); err != nil {
				return
			}
			greeting = append(greeting, one...)
		}
		conn.Write([]byte("OK 3e075660b8704c9ea2fbc181339b16e6\r\n"))
		answerTimes(conn, times)
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return path
}

// answerTimes answers calls of GetUnit and Get, little endian, until the other side has enough.
func answerTimes(conn net.Conn, times map[string]uint64) {
	unit := ""
	for serial := uint32(1); ; serial++ {
		head := make([]byte, 16)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		fields, body := (binary.LittleEndian.Uint32(head[12:])+7)/8*8, binary.LittleEndian.Uint32(head[4:])
		rest := make([]byte, fields+body)
		if _, err := io.ReadFull(conn, rest); err != nil {
			return
		}
		// The last text of the body is the unit's name, or the property.
		words := strings.FieldsFunc(string(rest[fields:]), func(r rune) bool { return r <= ' ' || r > '~' })
		last := words[len(words)-1]
		kind, signature, answer := byte(2), "v", []byte{1, 't', 0, 0, 0, 0, 0, 0}
		switch called := string(rest[:fields]); {
		case strings.Contains(called, "GetUnit"):
			unit = last + " "
			signature, answer = "o", append([]byte{2, 0, 0, 0}, "/u\x00"...)
			if _, known := times[unit+"InactiveExitTimestampMonotonic"]; !known {
				kind, signature, answer = 3, "", nil
			}
		case strings.Contains(called, "\x02\x00\x00\x00/u\x00"):
			answer = binary.LittleEndian.AppendUint64(answer, times[unit+last])
		default:
			answer = binary.LittleEndian.AppendUint64(answer, times[last])
		}
		conn.Write(reply(kind, serial, binary.LittleEndian.Uint32(head[8:]), signature, answer))
	}
}

// reply encodes a D-Bus message.
func reply(kind byte, serial, to uint32, signature string, body []byte) []byte {
	fields := binary.LittleEndian.AppendUint32([]byte{5, 1, 'u', 0}, to)
	if kind == 3 {
		const name = "org.freedesktop.systemd1.NoSuchUnit"
		fields = append(binary.LittleEndian.AppendUint32(append(fields, 4, 1, 's', 0), uint32(len(name))), name+"\x00"...)
	} else {
		fields = append(fields, 8, 1, 'g', 0, byte(len(signature)))
		fields = append(fields, signature+"\x00"...)
	}
	m := binary.LittleEndian.AppendUint32([]byte{'l', kind, 0, 1}, uint32(len(body)))
	m = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(m, serial), uint32(len(fields)))
	m = append(m, fields...)
	for len(m)%8 != 0 {
		m = append(m, 0)
	}
	return append(m, body...)
}

func TestSystemdIsAsked(t *testing.T) {
	socket := serveTimes(t, map[string]uint64{
		"UserspaceTimestampMonotonic": 2100000, "FinishTimestampMonotonic": 4000000,
		"GeneratorsStartTimestampMonotonic": 2200000, "GeneratorsFinishTimestampMonotonic": 2400500,
		"basic.target InactiveExitTimestampMonotonic": 3000000, "basic.target ActiveEnterTimestampMonotonic": 3000000,
		"systemd-sysext.service InactiveExitTimestampMonotonic": 2500000, "systemd-sysext.service ActiveEnterTimestampMonotonic": 0,
		"multi-user.target InactiveExitTimestampMonotonic": 0,
	})
	want := systemdStart{
		whole: span{"systemd", 2100, 4000}, parts: []span{{"generators", 2200, 2400.5}},
		units: []span{{"systemd-sysext.service", 2500, 0}, {"basic.target", 3000, 3000}},
	}
	if got := readSystemd(socket); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNoSystemd(t *testing.T) {
	if got := readSystemd(filepath.Join(t.TempDir(), "private")); !strings.Contains(got.missing, "no such file") {
		t.Errorf("%+v", got)
	}
}

// TestOnlyItsOwnBootIsAskedFor: systemd's times go with the record of the boot that started it, not with any other.
func TestOnlyItsOwnBootIsAskedFor(t *testing.T) {
	record, _ := started()
	own := filepath.Join(t.TempDir(), "report.json")
	if err := record.Write(own); err != nil {
		t.Fatal(err)
	}
	times := map[string]uint64{"UserspaceTimestampMonotonic": 2100000, "FinishTimestampMonotonic": 4000000}
	for file, want := range map[string]int{"": 1, own: 0} {
		drawn := filepath.Join(t.TempDir(), "boot.svg")
		asked := request{plot: drawn, file: file}
		if err := perform(asked, own, serveTimes(t, times)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(drawn)
		if err != nil {
			t.Fatal(err)
		}
		p, err := parsePlot(string(text))
		if err != nil || len(p.bars["systemd"]) != want {
			t.Errorf("%q: %v, %v", file, p.bars, err)
		}
	}
}
