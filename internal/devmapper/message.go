package devmapper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Layout of struct dm_ioctl and struct dm_target_spec (linux/dm-ioctl.h),
// native byte order.
const (
	headerSize     = 312
	targetSpecSize = 40
	nameSize       = 128
	uuidSize       = 129
	typeSize       = 16

	// maxParameters is far above what any target needs.
	maxParameters = 1 << 16

	offsetDataSize    = 12
	offsetDataStart   = 16
	offsetTargetCount = 20
	offsetOpenCount   = 24
	offsetFlags       = 28
	offsetEventNumber = 32
	offsetDevice      = 40
	offsetName        = 48
	offsetUUID        = offsetName + nameSize
)

// Flags of struct dm_ioctl (DM_*_FLAG).
const (
	flagReadOnly       = 1 << 0
	flagStatusTable    = 1 << 4
	flagActivePresent  = 1 << 5
	flagBufferFull     = 1 << 8
	flagNoFlush        = 1 << 11
	flagSecureData     = 1 << 15
	flagDeferredRemove = 1 << 17
)

// message is what goes to the kernel with one ioctl.
type message struct {
	name, uuid  string
	flags       uint32
	eventNumber uint32
	target      *Target
	// text goes to the device itself.
	text string
	// room is the number of bytes for an answer behind the header.
	room int
}

// encode lays the message out in a buffer of its own, since the kernel wipes
// buffers that carry secure data.
func (m message) encode() ([]byte, error) {
	if len(m.name) >= nameSize || strings.ContainsAny(m.name, "/\x00") {
		return nil, fmt.Errorf("device name %q: want at most %d bytes, without / and NUL", m.name, nameSize-1)
	}
	if len(m.uuid) >= uuidSize || strings.Contains(m.uuid, "\x00") {
		return nil, fmt.Errorf("device uuid %q: want at most %d bytes, without NUL", m.uuid, uuidSize-1)
	}
	var body []byte
	switch {
	case m.target != nil:
		var err error
		if body, err = m.target.encode(); err != nil {
			return nil, err
		}
	case m.text != "":
		// struct dm_target_msg: a sector, which does not count here, and the text.
		body = append(make([]byte, 8), m.text+"\x00"...)
	}
	buf := make([]byte, headerSize+max(len(body), m.room))
	for i, part := range []uint32{4, 0, 0} {
		binary.NativeEndian.PutUint32(buf[i*4:], part)
	}
	binary.NativeEndian.PutUint32(buf[offsetDataSize:], uint32(len(buf)))
	binary.NativeEndian.PutUint32(buf[offsetDataStart:], headerSize)
	if m.target != nil {
		binary.NativeEndian.PutUint32(buf[offsetTargetCount:], 1)
	}
	binary.NativeEndian.PutUint32(buf[offsetFlags:], m.flags)
	binary.NativeEndian.PutUint32(buf[offsetEventNumber:], m.eventNumber)
	copy(buf[offsetName:], m.name)
	copy(buf[offsetUUID:], m.uuid)
	copy(buf[headerSize:], body)
	return buf, nil
}

func (t *Target) encode() ([]byte, error) {
	if len(t.Type) >= typeSize || strings.Contains(t.Type, "\x00") {
		return nil, fmt.Errorf("target type %q: want at most %d bytes, without NUL", t.Type, typeSize-1)
	}
	if len(t.Parameters) > maxParameters || strings.Contains(t.Parameters, "\x00") {
		return nil, fmt.Errorf("parameters of target %q, %d bytes: want at most %d, without NUL",
			t.Type, len(t.Parameters), maxParameters)
	}
	size := (targetSpecSize + len(t.Parameters) + 1 + 7) &^ 7
	spec := make([]byte, size)
	binary.NativeEndian.PutUint64(spec[0:], t.Start)
	binary.NativeEndian.PutUint64(spec[8:], t.Sectors)
	binary.NativeEndian.PutUint32(spec[20:], uint32(size))
	copy(spec[24:], t.Type)
	copy(spec[targetSpecSize:], t.Parameters)
	return spec, nil
}

// answer is what the kernel left in the buffer.
type answer struct {
	flags       uint32
	openCount   int32
	device      uint64
	uuid        string
	targetCount uint32
	body        []byte
}

func decode(buf []byte) (answer, error) {
	if len(buf) < headerSize {
		return answer{}, errors.New("short answer")
	}
	start, size := binary.NativeEndian.Uint32(buf[offsetDataStart:]), binary.NativeEndian.Uint32(buf[offsetDataSize:])
	if start < headerSize || size < start || int64(size) > int64(len(buf)) {
		start, size = headerSize, headerSize
	}
	return answer{
		flags:       binary.NativeEndian.Uint32(buf[offsetFlags:]),
		openCount:   int32(binary.NativeEndian.Uint32(buf[offsetOpenCount:])),
		device:      binary.NativeEndian.Uint64(buf[offsetDevice:]),
		uuid:        text(buf[offsetUUID : offsetUUID+uuidSize]),
		targetCount: binary.NativeEndian.Uint32(buf[offsetTargetCount:]),
		body:        buf[start:size],
	}, nil
}

// firstTarget reads the first target of a table or status answer.
func (a answer) firstTarget() (Target, error) {
	if a.targetCount == 0 || len(a.body) < targetSpecSize {
		return Target{}, errors.New("no table")
	}
	return Target{
		Start:      binary.NativeEndian.Uint64(a.body[0:]),
		Sectors:    binary.NativeEndian.Uint64(a.body[8:]),
		Type:       text(a.body[24 : 24+typeSize]),
		Parameters: text(a.body[targetSpecSize:]),
	}, nil
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// deviceNumber splits the kernel's "huge" encoding of a device number.
func deviceNumber(dev uint64) (major, minor uint32) {
	return uint32(dev>>8) & 0xfff, uint32(dev&0xff) | uint32((dev>>12)&0xffffff00)
}
