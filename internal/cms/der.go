package cms

import (
	"errors"
	"fmt"
)

// Tags of DER (X.690), the only ones that are met by number.
const (
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagSequence    = 0x30
	tagSet         = 0x31
	// An element's number in its structure, in place of a type's tag.
	tagNumber0Primitive = 0x80
	tagNumber0          = 0xa0
	tagNumber1          = 0xa1
	tagNumber3          = 0xa3
)

var (
	errTruncated = errors.New("an element is cut off")
	errLength    = errors.New("a length is not DER")
	errTrailing  = errors.New("bytes behind the last element")
)

// elements reads one DER element after another. Nothing is copied, and no depth is
// entered that is not asked for. The lengths of BER, indefinite or longer than needed, are errors.
type elements struct {
	rest []byte
}

// element is a tag with its content. whole is the content with the header in front of it.
type element struct {
	tag            byte
	content, whole []byte
}

// longestLength bounds what is read: four bytes say up to 4 GiB, far more than maxMessage.
const longestLength = 4

func (e *elements) next() (element, error) {
	if len(e.rest) < 2 {
		return element{}, errTruncated
	}
	tag := e.rest[0]
	if tag&0x1f == 0x1f {
		return element{}, errors.New("a tag has more than one byte")
	}
	length, header := int64(e.rest[1]), 2
	if length >= 0x80 {
		size := int(length & 0x7f)
		if size == 0 || size > longestLength {
			return element{}, errLength
		}
		if len(e.rest) < header+size {
			return element{}, errTruncated
		}
		length = 0
		for _, b := range e.rest[header : header+size] {
			length = length<<8 | int64(b)
		}
		if length < 0x80 || e.rest[header] == 0 {
			return element{}, errLength
		}
		header += size
	}
	if length > int64(len(e.rest)-header) {
		return element{}, errTruncated
	}
	end := header + int(length)
	read := element{tag: tag, content: e.rest[header:end:end], whole: e.rest[:end:end]}
	e.rest = e.rest[end:]
	return read, nil
}

// read reads an element that must have the tag.
func (e *elements) read(tag byte) (element, error) {
	if len(e.rest) > 0 && e.rest[0] != tag {
		return element{}, fmt.Errorf("element %#02x where %#02x is due", e.rest[0], tag)
	}
	return e.next()
}

// open reads an element with the tag and returns what is in it.
func (e *elements) open(tag byte) (*elements, error) {
	read, err := e.read(tag)
	return &elements{rest: read.content}, err
}

// has reports whether the next element has the tag.
func (e *elements) has(tag byte) bool { return len(e.rest) > 0 && e.rest[0] == tag }

// end makes sure that there is nothing left.
func (e *elements) end() error {
	if len(e.rest) > 0 {
		return errTrailing
	}
	return nil
}

// only returns the elements in the one element, with the tag, that all of der is.
func only(der []byte, tag byte) (*elements, error) {
	outer := &elements{rest: der}
	inner, err := outer.open(tag)
	if err != nil {
		return nil, err
	}
	return inner, outer.end()
}

// readUnsigned reads an INTEGER that is not negative and returns its digits to the base 256,
// without a leading zero: none for 0.
func (e *elements) readUnsigned() ([]byte, error) {
	read, err := e.read(tagInteger)
	if err != nil {
		return nil, err
	}
	digits := read.content
	switch {
	case len(digits) == 0:
		return nil, errors.New("a number has no digits")
	case digits[0]&0x80 != 0:
		return nil, errors.New("a number is negative")
	case digits[0] != 0:
		return digits, nil
	case len(digits) > 1 && digits[1]&0x80 == 0:
		return nil, errors.New("a number is longer than needed")
	}
	return digits[1:], nil
}

// readWholeBytes reads a BIT STRING of whole bytes.
func (e *elements) readWholeBytes() ([]byte, error) {
	read, err := e.read(tagBitString)
	if err != nil {
		return nil, err
	}
	if len(read.content) == 0 || read.content[0] != 0 {
		return nil, errors.New("a bit string is not of whole bytes")
	}
	return read.content[1:], nil
}

// readAlgorithm reads an AlgorithmIdentifier: an object identifier, and parameters of any type,
// whose tag is 0 if there are none.
func (e *elements) readAlgorithm() (identifier string, parameters element, err error) {
	inner, err := e.open(tagSequence)
	if err != nil {
		return "", element{}, err
	}
	read, err := inner.read(tagOID)
	if err != nil {
		return "", element{}, err
	}
	if len(inner.rest) > 0 {
		if parameters, err = inner.next(); err != nil {
			return "", element{}, err
		}
	}
	return string(read.content), parameters, inner.end()
}

// readPlainAlgorithm reads an AlgorithmIdentifier whose parameters are NULL or absent.
func (e *elements) readPlainAlgorithm() (identifier string, err error) {
	identifier, parameters, err := e.readAlgorithm()
	if err == nil && parameters.tag != 0 && (parameters.tag != tagNull || len(parameters.content) > 0) {
		err = errors.New("an algorithm has parameters")
	}
	return identifier, err
}
