package servicemanager

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// kind is the type of a message. Others than these are to be ignored.
type kind byte

const (
	methodCall   kind = 1
	methodReturn kind = 2
	errorReply   kind = 3
	signal       kind = 4
)

// message is a D-Bus message, but for what has no meaning from peer to peer: flags, sender,
// destination and the number of file descriptors.
type message struct {
	kind  kind
	order byteOrder
	// serial is not zero.
	serial uint32
	// path, iface and member say what is called or what has happened.
	path, iface, member string
	// errorName is set in an errorReply.
	errorName string
	// replySerial is the serial of the call that this answers, and zero in what is no answer.
	replySerial uint32
	// signature has the types of the values in the body.
	signature string
	body      []byte
}

const (
	// fixedSize is the size in bytes of what every header starts with, up to its fields.
	fixedSize = 16
	// alignment is that of the fields and of the body, in bytes.
	alignment = 8
	// maxFields and maxBody bound what is accepted, in bytes. The specification has 64 MiB and
	// 128 MiB; answers to the calls of this package have less than 1 KiB, and the signals beside them
	// a few KiB.
	maxFields = 64 << 10
	maxBody   = 1 << 20
	// protocolVersion is that of the specification.
	protocolVersion = 1
)

// Codes of header fields.
const (
	fieldPath        = 1
	fieldInterface   = 2
	fieldMember      = 3
	fieldErrorName   = 4
	fieldReplySerial = 5
	fieldSignature   = 8
)

// messageSize returns the number of bytes of the message that starts with these fixedSize bytes, or an
// error if it is none, or one that is too long.
func messageSize(head []byte) (int, error) {
	if len(head) < fixedSize {
		return 0, errTruncated
	}
	order, err := orderOf(head[0])
	if err != nil {
		return 0, err
	}
	if version := head[3]; version != protocolVersion {
		return 0, fmt.Errorf("protocol version %d is not supported", version)
	}
	body, fields := order.Uint32(head[4:]), order.Uint32(head[12:])
	if fields > maxFields {
		return 0, fmt.Errorf("the header has %d bytes, more than %d", fields, maxFields)
	}
	if body > maxBody {
		return 0, fmt.Errorf("the body has %d bytes, more than %d", body, maxBody)
	}
	return padded(fixedSize+int(fields), alignment) + int(body), nil
}

// parseMessage takes a message apart. The data has the size that messageSize says; the body is a part
// of it.
func parseMessage(data []byte) (message, error) {
	size, err := messageSize(data)
	if err != nil {
		return message{}, err
	}
	if len(data) != size {
		return message{}, errTruncated
	}
	order, err := orderOf(data[0])
	if err != nil {
		return message{}, err
	}
	m := message{kind: kind(data[1]), order: order, serial: order.Uint32(data[8:])}
	end := fixedSize + int(order.Uint32(data[12:]))
	d := decoder{data: data[:end], order: order, offset: fixedSize}
	for d.err == nil && d.offset < end {
		m.parseField(&d)
	}
	if d.err != nil {
		return message{}, d.err
	}
	m.body = data[padded(end, alignment):]
	return m, m.check()
}

// parseField reads a field: a structure of its code and a variant.
func (m *message) parseField(d *decoder) {
	d.align(alignment)
	code, signature := d.byte(), d.signature()
	expect := func(want string) bool {
		if signature != want && d.err == nil {
			d.err = fmt.Errorf("header field %d has type %q, not %q", code, signature, want)
		}
		return d.err == nil
	}
	switch code {
	case fieldPath:
		if expect("o") {
			m.path = d.text()
		}
	case fieldInterface:
		if expect("s") {
			m.iface = d.text()
		}
	case fieldMember:
		if expect("s") {
			m.member = d.text()
		}
	case fieldErrorName:
		if expect("s") {
			m.errorName = d.text()
		}
	case fieldReplySerial:
		if expect("u") {
			m.replySerial = d.uint32()
		}
	case fieldSignature:
		if expect("g") {
			m.signature = d.signature()
		}
	default:
		// Fields that are not known are to be ignored.
		d.skip(signature)
	}
}

// check refuses a message without what its kind must have.
func (m *message) check() error {
	switch {
	case m.kind == 0:
		return errors.New("the message has no type")
	case m.serial == 0:
		return errors.New("the message has no serial")
	case (m.kind == methodReturn || m.kind == errorReply) && m.replySerial == 0:
		return errors.New("the answer does not say to which call")
	case m.kind == errorReply && m.errorName == "":
		return errors.New("the error has no name")
	}
	return nil
}

// encode makes the bytes of a message.
func (m *message) encode() []byte {
	endian := byte('l')
	if m.order == byteOrder(binary.BigEndian) {
		endian = 'B'
	}
	e := encoder{data: []byte{endian, byte(m.kind), 0, protocolVersion}, order: m.order}
	e.uint32(uint32(len(m.body)))
	e.uint32(m.serial)
	e.uint32(0) // the fields' length, which is not known yet
	for _, field := range []struct {
		code  byte
		kind  string
		value string
	}{
		{fieldPath, "o", m.path}, {fieldInterface, "s", m.iface}, {fieldMember, "s", m.member},
		{fieldErrorName, "s", m.errorName},
	} {
		if field.value != "" {
			e.startField(field.code, field.kind)
			e.text(field.value)
		}
	}
	if m.replySerial != 0 {
		e.startField(fieldReplySerial, "u")
		e.uint32(m.replySerial)
	}
	if m.signature != "" {
		e.startField(fieldSignature, "g")
		e.signature(m.signature)
	}
	m.order.PutUint32(e.data[12:], uint32(len(e.data)-fixedSize))
	e.align(alignment)
	return append(e.data, m.body...)
}

func (e *encoder) startField(code byte, kind string) {
	e.align(alignment)
	e.data = append(e.data, code)
	e.signature(kind)
}
