package superblock

import (
	"bytes"
	"errors"
	"io"
)

const (
	headSize   = 8192
	farStart   = 65536 - 4096 // holds the end of a 64 KiB page and btrfs' superblock
	farSize    = 8192
	swapMarker = 10 // length of swap's magic, at the end of the first page
)

// device holds the areas in which superblocks lie. Areas past the end are zero.
type device struct {
	head [headSize]byte // from byte 0
	far  [farSize]byte  // from byte farStart
	// swap16k and swap32k are the last bytes of a page of that size.
	swap16k, swap32k [swapMarker]byte
	// raid10 and raid09 are where superblocks of versions 1.0 and 0.90 lie, counted from the end,
	// and raid10At is where the former was read, in bytes.
	raid10, raid09 []byte
	raid10At       int64
}

func readDevice(r io.ReaderAt) (*device, error) {
	d := new(device)
	for _, area := range []struct {
		b      []byte
		offset int64
	}{
		{d.head[:], 0},
		{d.far[:], farStart},
		{d.swap16k[:], 16384 - swapMarker},
		{d.swap32k[:], 32768 - swapMarker},
	} {
		if err := readWhatIsThere(r, area.b, area.offset); err != nil {
			return nil, err
		}
	}
	sized, ok := r.(interface{ Size() int64 })
	if !ok {
		return d, nil
	}
	// Places as in md(4) and the kernel's md.c: 1.0 at least 8 KiB from the end and aligned to 4
	// KiB, 0.90 in the last whole 64 KiB that begin at a multiple of that.
	size := sized.Size()
	if at := (size/512*512 - 8192) &^ 4095; at >= 0 {
		d.raid10, d.raid10At = make([]byte, 4096), at
		if err := readWhatIsThere(r, d.raid10, at); err != nil {
			return nil, err
		}
	}
	if at := size&^65535 - 65536; at >= 0 {
		d.raid09 = make([]byte, 4096)
		if err := readWhatIsThere(r, d.raid09, at); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// readWhatIsThere fills b as far as the device goes.
func readWhatIsThere(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n < len(b) && err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	clear(b[max(n, 0):])
	return nil
}

func hasAt(b []byte, offset int, magic string) bool {
	return bytes.HasPrefix(b[offset:], []byte(magic))
}
