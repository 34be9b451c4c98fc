package servicemanager

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// What systemctl and the manager of systemd 252 (Debian 12) wrote on a private socket, as strace showed
// it.
const (
	seenCall = "l\x01\x00\x01\x20\x00\x00\x00\x01\x00\x00\x00\xa0\x00\x00\x00" +
		"\x01\x01o\x00\x19\x00\x00\x00/org/freedesktop/systemd1\x00\x00\x00\x00\x00\x00\x00" +
		"\x03\x01s\x00\x0b\x00\x00\x00RestartUnit\x00\x00\x00\x00\x00" +
		"\x02\x01s\x00\x20\x00\x00\x00org.freedesktop.systemd1.Manager\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x06\x01s\x00\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x08\x01g\x00\x02ss\x00" +
		"\x0e\x00\x00\x00nosuch.service\x00\x00\x07\x00\x00\x00replace\x00"
	seenRefusal = "l\x03\x01\x01\x23\x00\x00\x00\x01\x00\x00\x00\x67\x00\x00\x00" +
		"\x05\x01u\x00\x01\x00\x00\x00" +
		"\x04\x01s\x00\x23\x00\x00\x00org.freedesktop.systemd1.NoSuchUnit\x00\x00\x00\x00\x00" +
		"\x07\x01s\x00\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x08\x01g\x00\x01s\x00\x00" +
		"\x1e\x00\x00\x00Unit nosuch.service not found.\x00"
	seenReloading = "l\x04\x01\x01\x04\x00\x00\x00\x56\x00\x00\x00\x9f\x00\x00\x00" +
		"\x01\x01o\x00\x19\x00\x00\x00/org/freedesktop/systemd1\x00\x00\x00\x00\x00\x00\x00" +
		"\x02\x01s\x00\x20\x00\x00\x00org.freedesktop.systemd1.Manager\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x03\x01s\x00\x09\x00\x00\x00Reloading\x00\x00\x00\x00\x00\x00\x00" +
		"\x07\x01s\x00\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x08\x01g\x00\x01b\x00\x00" +
		"\x00\x00\x00\x00"
	seenReloaded = "l\x02\x01\x01\x00\x00\x00\x00\x57\x00\x00\x00\x29\x00\x00\x00" +
		"\x05\x01u\x00\x01\x00\x00\x00" +
		"\x07\x01s\x00\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00"
	// A variant, put together by hand.
	bigEndianState = "B\x02\x00\x01\x00\x00\x00\x0f\x00\x00\x00\x09\x00\x00\x00\x0f" +
		"\x05\x01u\x00\x00\x00\x00\x04" +
		"\x08\x01g\x00\x01v\x00\x00" +
		"\x01s\x00\x00\x00\x00\x00\x06active\x00"
)

func TestParseWhatSystemdWrites(t *testing.T) {
	for data, want := range map[string]message{
		seenCall: {kind: methodCall, serial: 1, path: managerPath, iface: managerInterface, member: "RestartUnit", signature: "ss",
			body: []byte("\x0e\x00\x00\x00nosuch.service\x00\x00\x07\x00\x00\x00replace\x00")},
		seenRefusal: {kind: errorReply, serial: 1, errorName: NoSuchUnit, replySerial: 1, signature: "s",
			body: []byte("\x1e\x00\x00\x00Unit nosuch.service not found.\x00")},
		seenReloading: {kind: signal, serial: 86, path: managerPath, iface: managerInterface, member: "Reloading", signature: "b",
			body: make([]byte, 4)},
		seenReloaded: {kind: methodReturn, serial: 87, replySerial: 1, body: []byte{}},
	} {
		want.order = binary.LittleEndian
		if got, err := parseMessage([]byte(data)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	m, err := parseMessage([]byte(seenRefusal))
	if text, textErr := m.text(); text != "Unit nosuch.service not found." || err != nil || textErr != nil {
		t.Errorf("%q, %v, %v", text, err, textErr)
	}
	m, err = parseMessage([]byte(bigEndianState))
	if text, textErr := m.variantText(); text != "active" || m.serial != 9 || m.replySerial != 4 || err != nil || textErr != nil {
		t.Errorf("%q, %+v, %v, %v", text, m, err, textErr)
	}
}

// TestEncode wants the call that systemctl made, but without a destination and with the fields in the
// order of their codes.
func TestEncode(t *testing.T) {
	m := message{kind: methodCall, order: binary.LittleEndian, serial: 1, path: managerPath, iface: managerInterface, member: "RestartUnit"}
	m.setTexts("nosuch.service", "replace")
	want := "l\x01\x00\x01\x20\x00\x00\x00\x01\x00\x00\x00\x78\x00\x00\x00" +
		"\x01\x01o\x00\x19\x00\x00\x00/org/freedesktop/systemd1\x00\x00\x00\x00\x00\x00\x00" +
		"\x02\x01s\x00\x20\x00\x00\x00org.freedesktop.systemd1.Manager\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x03\x01s\x00\x0b\x00\x00\x00RestartUnit\x00\x00\x00\x00\x00" +
		"\x08\x01g\x00\x02ss\x00" +
		"\x0e\x00\x00\x00nosuch.service\x00\x00\x07\x00\x00\x00replace\x00"
	if got := m.encode(); string(got) != want {
		t.Errorf("%s\nwant %s", hex.Dump(got), hex.Dump([]byte(want)))
	}
}

// patched returns the data with other bytes from an offset on.
func patched(data string, offset int, bytes string) []byte {
	return []byte(data[:offset] + bytes + data[offset+len(bytes):])
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct {
		want string
		data []byte
	}{
		{"byte order 'x'", patched(seenRefusal, 0, "x")},
		{"protocol version 2", patched(seenRefusal, 3, "\x02")},
		{"no type", patched(seenRefusal, 1, "\x00")},
		{"no serial", patched(seenRefusal, 8, "\x00")},
		{"ends too early", []byte(seenRefusal[:len(seenRefusal)-1])},
		{"ends too early", []byte(seenRefusal[:15])},
		{"ends too early", []byte(seenRefusal + "\x00")},
		{"ends too early", patched(seenRefusal, 28, "\x80")},             // a text longer than the header
		{"ends too early", patched(seenRefusal, 28, "\xff\xff\xff\xff")}, // and one longer than int32
		{"ends too early", patched(seenRefusal, 12, "\x61")},
		{"not end at its NUL byte", patched(seenRefusal, 28, "\x22")},
		{"not end at its NUL byte", patched(seenRefusal, 40, "\x00")},
		{`field 4 has type "o", not "s"`, patched(seenRefusal, 26, "o")},
		{`field 5 has type "i", not "u"`, patched(seenRefusal, 18, "i")},
		{`field 8 has type "s", not "g"`, patched(seenRefusal, 114, "s")},
		{`field of type "v" is not supp`, patched(seenRefusal, 74, "v")},
		{"does not say to which call", patched(seenRefusal, 20, "\x00")},
		{"does not say to which call", patched(seenReloaded, 20, "\x00")},
		{"the error has no name", patched(seenReloaded, 1, "\x03")},
		{"the body has 4278190115 bytes", patched(seenRefusal, 7, "\xff")},
		{"the header has 16777319 bytes,", patched(seenRefusal, 15, "\x01")},
	} {
		m, err := parseMessage(test.data)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v", test.want, m, err)
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	for signature, value := range map[string]string{
		"y": "\x07", "n": "\x07\x00", "q": "\x07\x00", "b": "\x01\x00\x00\x00", "i": "\x07\x00\x00\x00", "u": "\x07\x00\x00\x00",
		"h": "\x07\x00\x00\x00", "x": "\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00", "t": "\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00",
		"d": "\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00", "s": "\x01\x00\x00\x00a\x00", "o": "\x01\x00\x00\x00/\x00", "g": "\x01y\x00",
	} {
		field := "\xc8\x01" + signature + "\x00" + value
		field += strings.Repeat("\x00", 7-(len(field)+7)%8)
		data := append(patched(seenRefusal[:16], 12, string(rune(0x67+len(field)))), field+seenRefusal[16:]...)
		if m, err := parseMessage(data); err != nil || m.errorName != NoSuchUnit || m.replySerial != 1 {
			t.Errorf("%s: %+v, %v", signature, m, err)
		}
	}
}

func TestSizesAtTheLimit(t *testing.T) {
	head := binary.LittleEndian.AppendUint32([]byte("l\x04\x00\x01"), maxBody)
	head = binary.LittleEndian.AppendUint32(head, 1)
	head = binary.LittleEndian.AppendUint32(head, maxFields)
	if size, err := messageSize(head); size != 16+maxFields+maxBody || err != nil {
		t.Errorf("%d, %v", size, err)
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, data := range []string{seenCall, seenRefusal, seenReloading, seenReloaded, bigEndianState} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMessage(data)
		if err != nil {
			return
		}
		size, err := messageSize(data)
		if err != nil || size != len(data) || len(m.body) > size || size > 16+maxFields+maxBody {
			t.Errorf("size %d of %d bytes, %v", size, len(data), err)
		}
		for _, read := range []func() (string, error){m.text, m.variantText} {
			if text, err := read(); (err != nil && text != "") || len(text) > len(m.body) || strings.Contains(text, "\x00") {
				t.Errorf("%q, %v", text, err)
			}
		}
		again, err := parseMessage(m.encode())
		if err != nil || !bytes.Equal(again.body, m.body) {
			t.Fatalf("%v in what was encoded", err)
		}
		again.body = m.body
		if !reflect.DeepEqual(again, m) {
			t.Errorf("%+v, encoded and parsed again %+v", m, again)
		}
	})
}
