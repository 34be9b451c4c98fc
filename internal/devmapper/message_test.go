package devmapper

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func TestMessageLayout(t *testing.T) {
	m := message{name: "usr", uuid: "CRYPT-VERITY-1-usr", flags: flagReadOnly, eventNumber: 7,
		target: &Target{Start: 1, Sectors: 2, Type: "verity", Parameters: "1 2"}}
	buf, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	// struct dm_ioctl is 312 bytes long, struct dm_target_spec 40; the text with
	// its NUL is padded to a multiple of 8.
	if len(buf) != 312+40+8 {
		t.Fatalf("%d bytes", len(buf))
	}
	for _, field := range []struct {
		name string
		at   int
		want uint32
	}{
		{"version", 0, 4}, {"data_size", 12, 360}, {"data_start", 16, 312}, {"target_count", 20, 1},
		{"flags", 28, 1}, {"event_nr", 32, 7}, {"sector_start", 312, 1}, {"length", 320, 2}, {"next", 332, 48},
	} {
		if got := binary.NativeEndian.Uint32(buf[field.at:]); got != field.want {
			t.Errorf("%s: %d, want %d", field.name, got, field.want)
		}
	}
	for at, want := range map[int]string{48: "usr", 176: "CRYPT-VERITY-1-usr", 336: "verity", 352: "1 2"} {
		if got := text(buf[at:]); got != want {
			t.Errorf("text at %d: %q, want %q", at, got, want)
		}
	}
}

func TestDeviceNumber(t *testing.T) {
	for dev, want := range map[uint64][2]uint32{
		0:                   {0, 0},
		253<<8 | 1:          {253, 1},
		254<<8 | 255:        {254, 255},
		0xfff<<8 | 0x12:     {0xfff, 0x12},
		1<<20 | 253<<8 | 44: {253, 256 + 44},
		0xffffffff:          {0xfff, 0xfffff},
	} {
		if major, minor := deviceNumber(dev); major != want[0] || minor != want[1] {
			t.Errorf("%#x: %d:%d, want %d:%d", dev, major, minor, want[0], want[1])
		}
	}
}

func TestDamagedAnswers(t *testing.T) {
	if _, err := decode(make([]byte, headerSize-1)); err == nil {
		t.Error("a short answer was taken")
	}
	base, err := message{name: "usr", room: 64}.encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(buf []byte){
		"no target":                func(buf []byte) { binary.NativeEndian.PutUint32(buf[offsetTargetCount:], 0) },
		"data starts in the head":  func(buf []byte) { binary.NativeEndian.PutUint32(buf[offsetDataStart:], 8) },
		"data starts behind":       func(buf []byte) { binary.NativeEndian.PutUint32(buf[offsetDataStart:], 1<<31) },
		"data ends before it":      func(buf []byte) { binary.NativeEndian.PutUint32(buf[offsetDataSize:], headerSize-8) },
		"data ends behind":         func(buf []byte) { binary.NativeEndian.PutUint32(buf[offsetDataSize:], 1<<32-1) },
		"data too short":           func(buf []byte) { binary.NativeEndian.PutUint32(buf[offsetDataSize:], headerSize+targetSpecSize-1) },
		"nothing but a whole head": func(buf []byte) { binary.NativeEndian.PutUint32(buf[offsetDataSize:], headerSize) },
	} {
		buf := bytes.Clone(base)
		binary.NativeEndian.PutUint32(buf[offsetTargetCount:], 1)
		change(buf)
		a, err := decode(buf)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if target, err := a.firstTarget(); err == nil {
			t.Errorf("%s: read as %+v", name, target)
		}
	}
}

func TestDamagedLists(t *testing.T) {
	good := make([]byte, 48)
	binary.NativeEndian.PutUint64(good, 254<<8)
	binary.NativeEndian.PutUint32(good[8:], 24)
	copy(good[12:], "usr")
	binary.NativeEndian.PutUint64(good[24:], 254<<8|1)
	copy(good[36:], "root")
	if listed, err := (answer{body: good}).devices(); err != nil || len(listed) != 2 || listed[1] != (Listed{"root", 254, 1}) {
		t.Errorf("%+v, %v", listed, err)
	}
	for _, next := range []uint32{1, 11, 49, 1 << 31, 1<<32 - 1} {
		damaged := bytes.Clone(good)
		binary.NativeEndian.PutUint32(damaged[8:], next)
		if listed, err := (answer{body: damaged}).devices(); err == nil {
			t.Errorf("next at %d: %+v", next, listed)
		}
	}
	for _, next := range []uint32{1, 15, 49, 1 << 31, 1<<32 - 1} {
		damaged := make([]byte, 48)
		binary.NativeEndian.PutUint32(damaged, next)
		if versions, err := (answer{body: damaged}).targets(); err == nil {
			t.Errorf("next at %d: %+v", next, versions)
		}
	}
	for size := range good {
		if _, err := (answer{body: good[:size]}).devices(); err != nil && size >= 24 {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestMessageForTheDevice(t *testing.T) {
	buf, err := message{name: "usr", text: "@x"}.encode()
	if err != nil {
		t.Fatal(err)
	}
	// struct dm_target_msg: a sector of 64 bits, then the text.
	if want := append(make([]byte, 8), "@x\x00"...); !bytes.Equal(buf[headerSize:], want) || binary.NativeEndian.Uint32(buf[offsetTargetCount:]) != 0 {
		t.Errorf("%q", buf[headerSize:])
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range []message{
		{name: "usr", uuid: "u"},
		{name: "usr", room: 64},
		{name: "usr", target: &Target{Start: 1, Sectors: 1 << 40, Type: "verity", Parameters: strings.Repeat("1 ", 99)}},
	} {
		buf, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(buf)
	}
	f.Fuzz(func(t *testing.T, buf []byte) {
		a, err := decode(buf)
		if err != nil {
			return
		}
		device := describe(a)
		if device.Major > 0xfff || device.Minor > 0xfffff && a.device < 1<<32 || strings.Contains(device.UUID, "\x00") {
			t.Errorf("%+v", device)
		}
		if listed, err := a.devices(); err == nil && len(listed) > len(buf) {
			t.Errorf("%d devices in %d bytes", len(listed), len(buf))
		}
		if versions, err := a.targets(); err == nil && len(versions) > len(buf) {
			t.Errorf("%d targets in %d bytes", len(versions), len(buf))
		}
		target, err := a.firstTarget()
		if err == nil && (len(target.Type) > typeSize || len(target.Parameters) > len(buf) || strings.Contains(target.Parameters, "\x00")) {
			t.Errorf("%+v", target)
		}
	})
}

// FuzzTarget reads back what a message says, as the kernel would read it.
func FuzzTarget(f *testing.F) {
	f.Add("usr", "u", "verity", "1 7:0 7:1", uint64(0), uint64(8))
	f.Add("a/b", "\x00", strings.Repeat("t", 16), "\x00", uint64(1), uint64(1<<63))
	f.Fuzz(func(t *testing.T, name, uuid, kind, parameters string, start, sectors uint64) {
		want := Target{Start: start, Sectors: sectors, Type: kind, Parameters: parameters}
		buf, err := message{name: name, uuid: uuid, target: &want}.encode()
		if err != nil {
			return
		}
		a, err := decode(buf)
		if err != nil {
			t.Fatal(err)
		}
		target, err := a.firstTarget()
		if err != nil || target != want || a.uuid != uuid || text(buf[offsetName:offsetUUID]) != name {
			t.Errorf("%+v, %v, %v; want %+v", a, target, err, want)
		}
	})
}
