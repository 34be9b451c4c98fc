package netlink

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

// message is one message between kernel and program (netlink(7)): a fixed header of its kind, then attributes.
type message struct {
	kind, flags uint16
	sequence    uint32
	body        []byte
}

const headerSize = 16

func (m message) encode() []byte {
	data := make([]byte, headerSize, headerSize+len(m.body))
	native.PutUint32(data, uint32(headerSize+len(m.body)))
	native.PutUint16(data[4:], m.kind)
	native.PutUint16(data[6:], m.flags)
	native.PutUint32(data[8:], m.sequence)
	return append(data, m.body...)
}

// add appends an attribute (rtnetlink(7)).
func (m *message) add(kind uint16, value []byte) {
	var header [4]byte
	native.PutUint16(header[:], uint16(len(header)+len(value)))
	native.PutUint16(header[2:], kind)
	m.body = append(append(m.body, header[:]...), value...)
	m.body = append(m.body, make([]byte, align(len(value))-len(value))...)
}

func (m *message) addNumber(kind uint16, n uint32) { m.add(kind, native.AppendUint32(nil, n)) }

// align rounds up to the 4 bytes that everything is aligned to.
func align(n int) int { return (n + 3) &^ 3 }

// errShort is no errors.New, which would be made at each start of the program (package sentinel).
var errShort error = shortError{}

type shortError struct{}

func (shortError) Error() string { return "a message of the kernel is cut off" }

// splitMessages takes what was received apart.
func splitMessages(data []byte) ([]message, error) {
	var all []message
	for len(data) > 0 {
		if len(data) < headerSize {
			return nil, errShort
		}
		size := native.Uint32(data)
		if size < headerSize || uint64(size) > uint64(len(data)) {
			return nil, errShort
		}
		all = append(all, message{native.Uint16(data[4:]), native.Uint16(data[6:]), native.Uint32(data[8:]), data[headerSize:size]})
		data = data[min(align(int(size)), len(data)):]
	}
	return all, nil
}

// attributes returns those behind a fixed header of so many bytes; the last one of a kind counts.
func (m *message) attributes(fixed int) (map[uint16][]byte, error) {
	if len(m.body) < fixed {
		return nil, errShort
	}
	all := map[uint16][]byte{}
	for data := m.body[fixed:]; len(data) >= 4; {
		size := int(native.Uint16(data))
		if size < 4 || size > len(data) {
			return nil, errShort
		}
		all[native.Uint16(data[2:])&^uint16(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)] = data[4:size]
		data = data[min(align(size), len(data)):]
	}
	return all, nil
}

// number is an attribute of 4 bytes, 0 if it is not there.
func number(value []byte) uint32 {
	if len(value) < 4 {
		return 0
	}
	return native.Uint32(value)
}

// text is an attribute with a name that ends in NUL.
func text(value []byte) string { return unix.ByteSliceToString(value) }

// answer reads the error that an acknowledgement has, nil for success.
func (m message) answer() error {
	if len(m.body) < 4 {
		return errShort
	}
	if code := int32(native.Uint32(m.body)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// Error is a request that the kernel refused.
type Error struct {
	Operation string
	Errno     error
}

func (e *Error) Error() string { return e.Operation + ": " + e.Errno.Error() }

func (e *Error) Unwrap() error { return e.Errno }

func refused(err error, format string, values ...any) error {
	if err == nil {
		return nil
	}
	return &Error{fmt.Sprintf(format, values...), err}
}
