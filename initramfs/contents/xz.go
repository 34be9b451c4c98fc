package contents

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// xzStream unpacks one stream of the format xz (tukaani.org/xz/xz-file-format.txt). The container is read here and
// not by the library, which takes as much memory as a block's header asks for, up to 4 GiB.
type xzStream struct {
	s     *source
	check byte
	sum   hash.Hash // of the block's content, nil if there is none
	block io.Reader // nil between blocks
	start int64     // of the block's packed data
	done  bool
}

func openXz(s *source) (io.Reader, error) {
	var header [12]byte
	if _, err := io.ReadFull(s, header[:]); err != nil {
		return nil, early(err)
	}
	if binary.LittleEndian.Uint32(header[8:]) != crc32.ChecksumIEEE(header[6:8]) || header[6] != 0 || header[7] > 15 {
		return nil, errors.New("the stream's header is damaged")
	}
	return &xzStream{s: s, check: header[7]}, nil
}

// Read gives what the blocks hold, one after another.
func (x *xzStream) Read(b []byte) (int, error) {
	for {
		if x.done {
			return 0, io.EOF
		}
		if x.block == nil {
			if err := x.openBlock(); err != nil {
				return 0, early(err)
			}
			continue
		}
		n, err := x.block.Read(b)
		if x.sum != nil {
			x.sum.Write(b[:n])
		}
		if err == io.EOF {
			if err := x.closeBlock(); err != nil {
				return n, early(err)
			}
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// openBlock reads a block's header, or the index at the end.
func (x *xzStream) openBlock() error {
	first, err := x.s.ReadByte()
	if err != nil {
		return err
	}
	if first == 0 {
		return x.skipIndex()
	}
	header := make([]byte, (int(first)+1)*4)
	header[0] = first
	if _, err := io.ReadFull(x.s, header[1:]); err != nil {
		return err
	}
	end := len(header) - 4
	if binary.LittleEndian.Uint32(header[end:]) != crc32.ChecksumIEEE(header[:end]) {
		return errors.New("a block's header is damaged")
	}
	dictionary, err := dictionaryOf(header[1:end])
	if err != nil {
		return err
	}
	if err := bound("dictionary", dictionary); err != nil {
		return err
	}
	x.start = x.s.offset()
	x.sum = newCheck(x.check)
	x.block, err = lzma.Reader2Config{DictCap: int(max(dictionary, lzma.MinDictCap))}.NewReader2(x.s)
	return err
}

// dictionaryOf reads the flags, sizes and filters of a block's header.
func dictionaryOf(header []byte) (uint64, error) {
	flags, r := header[0], bytes.NewReader(header[1:])
	if flags&0x3c != 0 {
		return 0, errors.New("a block with flags that are not known")
	}
	for _, present := range []bool{flags&0x40 != 0, flags&0x80 != 0} {
		if present {
			if _, err := binary.ReadUvarint(r); err != nil {
				return 0, errors.New("a block's header is damaged")
			}
		}
	}
	id, _ := binary.ReadUvarint(r)
	length, _ := binary.ReadUvarint(r)
	size, err := r.ReadByte()
	if flags&3 != 0 || id != 0x21 {
		return 0, errors.New("a block with a filter beside LZMA2, which is not read here")
	}
	if err != nil || length != 1 || size > 40 {
		return 0, errors.New("a block's header is damaged")
	}
	if size == 40 {
		return 1<<32 - 1, nil
	}
	return (2 | uint64(size)&1) << (size/2 + 11), nil
}

// closeBlock reads the padding and the checksum behind a block.
func (x *xzStream) closeBlock() error {
	x.block = nil
	padding := int(-(x.s.offset() - x.start) & 3)
	lengths := [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}
	rest := make([]byte, padding+lengths[x.check])
	if _, err := io.ReadFull(x.s, rest); err != nil {
		return err
	}
	if x.sum == nil {
		return nil
	}
	want := x.sum.Sum(nil)
	if x.check != 10 { // the CRCs are little-endian there
		for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
			want[i], want[j] = want[j], want[i]
		}
	}
	if !bytes.Equal(rest[padding:], want) {
		return errors.New("a block's checksum is wrong")
	}
	return nil
}

// skipIndex passes over the index and the stream's footer.
func (x *xzStream) skipIndex() error {
	start := x.s.offset() - 1
	records, err := binary.ReadUvarint(x.s)
	if err != nil {
		return err
	}
	for range records {
		for range 2 {
			if _, err := binary.ReadUvarint(x.s); err != nil {
				return err
			}
		}
	}
	padding := -(x.s.offset() - start) & 3
	if _, err := x.s.Discard(int(padding) + 4 + 10); err != nil {
		return err
	}
	var end [2]byte
	if _, err := io.ReadFull(x.s, end[:]); err != nil {
		return err
	}
	if string(end[:]) != "YZ" {
		return fmt.Errorf("the stream does not end with YZ but with %q", end)
	}
	x.done = true
	return nil
}

// newCheck gives the sum for a kind of check, nil for none and for one that nobody uses.
func newCheck(kind byte) hash.Hash {
	switch kind {
	case 1:
		return crc32.NewIEEE()
	case 4:
		return crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		return sha256.New()
	}
	return nil
}
