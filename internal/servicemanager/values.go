package servicemanager

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/sentinel"
)

// byteOrder is little or big endian. Each side of a connection chooses its own.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

const errTruncated = sentinel.Error("the message ends too early")

// orderOf returns the byte order that the first byte of a message stands for.
func orderOf(mark byte) (byteOrder, error) {
	switch mark {
	case 'l':
		return binary.LittleEndian, nil
	case 'B':
		return binary.BigEndian, nil
	}
	return nil, fmt.Errorf("byte order %q is not known", mark)
}

// padded returns the offset rounded up to an alignment.
func padded(offset, alignment int) int { return (offset + alignment - 1) / alignment * alignment }

// decoder reads values one after another; offset is aligned as in the whole message. After an error
// it returns nothing but zeros.
type decoder struct {
	data   []byte
	order  byteOrder
	offset int
	err    error
}

// take returns the next bytes, nil if there are not as many.
func (d *decoder) take(count uint64) []byte {
	if d.err != nil {
		return nil
	}
	if count > uint64(len(d.data)-d.offset) {
		d.err = errTruncated
		return nil
	}
	start := d.offset
	d.offset += int(count)
	return d.data[start:d.offset]
}

func (d *decoder) align(alignment int) { d.take(uint64(padded(d.offset, alignment) - d.offset)) }

func (d *decoder) byte() byte {
	if taken := d.take(1); taken != nil {
		return taken[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	d.align(4)
	if taken := d.take(4); taken != nil {
		return d.order.Uint32(taken)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	d.align(8)
	if taken := d.take(8); taken != nil {
		return d.order.Uint64(taken)
	}
	return 0
}

// text reads a string or an object path.
func (d *decoder) text() string { return d.terminated(uint64(d.uint32())) }

// signature reads a list of types.
func (d *decoder) signature() string { return d.terminated(uint64(d.byte())) }

// terminated reads as many bytes, which hold no NUL byte, and the NUL byte that follows them.
func (d *decoder) terminated(length uint64) string {
	taken := d.take(length + 1)
	if taken == nil {
		return ""
	}
	if bytes.IndexByte(taken, 0) != int(length) {
		d.err = errors.New("a text of the message does not end at its NUL byte")
		return ""
	}
	return string(taken[:length])
}

// skip passes over one value of a basic type. No header field of another type exists.
func (d *decoder) skip(signature string) {
	switch signature {
	case "s", "o":
		d.text()
	case "g":
		d.signature()
	case "y":
		d.take(1)
	case "n", "q":
		d.skipNumber(2)
	case "b", "i", "u", "h":
		d.skipNumber(4)
	case "x", "t", "d":
		d.skipNumber(8)
	default:
		if d.err == nil {
			d.err = fmt.Errorf("header field of type %q is not supported", signature)
		}
	}
}

func (d *decoder) skipNumber(size int) {
	d.align(size)
	d.take(uint64(size))
}

// encoder appends values; the data starts with the message or with its body.
type encoder struct {
	data  []byte
	order byteOrder
}

func (e *encoder) align(alignment int) {
	e.data = append(e.data, make([]byte, padded(len(e.data), alignment)-len(e.data))...)
}

func (e *encoder) uint32(value uint32) {
	e.align(4)
	e.data = e.order.AppendUint32(e.data, value)
}

func (e *encoder) text(value string) {
	e.uint32(uint32(len(value)))
	e.data = append(append(e.data, value...), 0)
}

func (e *encoder) signature(value string) {
	e.data = append(append(append(e.data, byte(len(value))), value...), 0)
}

// setTexts makes texts the body of a message that is to be sent.
func (m *message) setTexts(values ...string) {
	e := encoder{order: binary.LittleEndian}
	for _, value := range values {
		e.text(value)
	}
	m.signature, m.body = strings.Repeat("s", len(values)), e.data
}

// text returns the first value of the body, which is to be a string or an object path.
func (m *message) text() (string, error) {
	if !strings.HasPrefix(m.signature, "s") && !strings.HasPrefix(m.signature, "o") {
		return "", fmt.Errorf("it holds values of the types %q, no text", m.signature)
	}
	d := decoder{data: m.body, order: m.order}
	text := d.text()
	return text, d.err
}

// variantText returns the string in the variant that is to be the body.
func (m *message) variantText() (string, error) {
	if m.signature != "v" {
		return "", fmt.Errorf("it holds values of the types %q, no variant", m.signature)
	}
	d := decoder{data: m.body, order: m.order}
	if held := d.signature(); held != "s" && d.err == nil {
		return "", fmt.Errorf("it holds a value of the type %q, no text", held)
	}
	text := d.text()
	return text, d.err
}
