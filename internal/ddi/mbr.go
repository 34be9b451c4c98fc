package ddi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// dissectMBR takes an old partition table: a single partition of type 0x83 that is marked active is
// the root. nil without an error: there is no such table.
func dissectMBR(r io.ReaderAt, size int64) (*Image, error) {
	const sector, firstEntry, entrySize = 512, 446, 16
	block := make([]byte, sector)
	if _, err := r.ReadAt(block, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if block[510] != 0x55 || block[511] != 0xaa {
		return nil, nil
	}
	var root *Area
	used := 0
	for i := range 4 {
		entry := block[firstEntry+i*entrySize:][:entrySize]
		status, kind := entry[0], entry[4]
		start := int64(binary.LittleEndian.Uint32(entry[8:])) * sector
		length := int64(binary.LittleEndian.Uint32(entry[12:])) * sector
		if status&0x7f != 0 {
			// Other boot sectors end in the same two bytes.
			return nil, nil
		}
		if kind == 0 || length == 0 {
			continue
		}
		used++
		if kind == 0x83 && status == 0x80 {
			if start == 0 || start+length > size {
				return nil, fmt.Errorf("an MBR partition at byte %d with %d bytes, which is not inside the image", start, length)
			}
			root = &Area{Offset: start, Size: length}
		}
	}
	switch {
	case used == 0:
		return nil, nil
	case used > 1:
		return nil, errors.New("an MBR partition table with more than one partition")
	case root == nil:
		return nil, errors.New("an MBR partition table without an active Linux partition")
	}
	return &Image{Kind: KindMBR, SectorSize: sector, Data: root}, nil
}
