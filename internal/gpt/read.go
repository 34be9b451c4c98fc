package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"
)

var sectorSizes = [...]int{512, 1024, 2048, 4096}

// errNoSignature is the plain absence of a header, as against a broken one.
var errNoSignature = errors.New("no signature")

// Read reads the partition table of a disk of size bytes with the given logical
// sector size (512, 1024, 2048 or 4096 bytes).
//
// If the primary header or its entries are bad, the backup in the last sector of the disk is used
// and FromBackup set. If both are bad the error names both causes; if
// neither is there at all, or there is no protective MBR, it is ErrNoTable.
func Read(r io.ReaderAt, size int64, sectorSize int) (*Table, error) {
	if !validSectorSize(sectorSize) {
		return nil, fmt.Errorf("read GPT: sector size %d is not 512, 1024, 2048 or 4096", sectorSize)
	}
	if size/int64(sectorSize) < 3 { // MBR, header and an entry at least
		return nil, ErrNoTable
	}
	lastLBA := uint64(size/int64(sectorSize)) - 1

	protective, err := hasProtectiveMBR(r)
	if err != nil {
		return nil, fmt.Errorf("read GPT: %w", err)
	}
	if !protective {
		if found, _ := signatureAt(r, int64(sectorSize)); found {
			return nil, fmt.Errorf("%w: there is a header, but no protective MBR in sector 0", ErrNoTable)
		}
		return nil, ErrNoTable
	}

	table, primaryErr := readTable(r, sectorSize, 1, lastLBA)
	if primaryErr == nil {
		return table, nil
	}
	table, backupErr := readTable(r, sectorSize, lastLBA, lastLBA)
	if backupErr == nil {
		table.FromBackup = true
		return table, nil
	}
	if errors.Is(primaryErr, errNoSignature) && errors.Is(backupErr, errNoSignature) {
		return nil, ErrNoTable
	}
	return nil, fmt.Errorf("read GPT: primary: %w; backup: %w", primaryErr, backupErr)
}

// ReadImage reads the partition table of an image file of size bytes, whose sector size is
// told by the place of the primary header only. An image with headers for two
// sector sizes is refused, since the kernel could see other partitions than the reader. Errors are
// those of Read.
func ReadImage(r io.ReaderAt, size int64) (*Table, error) {
	found := 0
	for _, sectorSize := range sectorSizes {
		if int64(sectorSize)+int64(len(signature)) > size {
			break
		}
		has, err := signatureAt(r, int64(sectorSize))
		if err != nil {
			return nil, fmt.Errorf("read GPT: %w", err)
		}
		if !has {
			continue
		}
		if found != 0 {
			return nil, fmt.Errorf("read GPT: headers for two sector sizes, %d and %d", found, sectorSize)
		}
		found = sectorSize
	}
	if found != 0 {
		return Read(r, size, found)
	}
	// No primary header: the backup's place depends on the sector size as well.
	for _, sectorSize := range sectorSizes {
		table, err := Read(r, size, sectorSize)
		if !errors.Is(err, ErrNoTable) {
			return table, err
		}
	}
	return nil, ErrNoTable
}

// readTable reads the header in sector at and the entries it points to.
func readTable(r io.ReaderAt, sectorSize int, at, lastLBA uint64) (*Table, error) {
	sector := make([]byte, sectorSize)
	if err := readFull(r, sector, int64(at)*int64(sectorSize)); err != nil {
		return nil, fmt.Errorf("header in sector %d: %w", at, err)
	}
	if string(sector[:len(signature)]) != signature {
		return nil, fmt.Errorf("sector %d: %w", at, errNoSignature)
	}
	h, err := parseHeader(sector, at, lastLBA)
	if err != nil {
		return nil, err
	}
	array := make([]byte, h.arraySize())
	if err := readFull(r, array, int64(h.entriesLBA)*int64(sectorSize)); err != nil {
		return nil, fmt.Errorf("entries in sector %d: %w", h.entriesLBA, err)
	}
	if got := crc32.ChecksumIEEE(array); got != h.entriesCRC {
		return nil, fmt.Errorf("checksum of the entries is %08x, not %08x", got, h.entriesCRC)
	}
	table := &Table{Disk: h.disk, SectorSize: sectorSize}
	for i := range h.entriesCount {
		entry := parseEntry(array[i*h.entrySize:])
		// The kernel leaves out entries beyond the disk as well.
		if entry.Type.IsZero() || entry.FirstLBA > entry.LastLBA || entry.LastLBA > lastLBA {
			continue
		}
		entry.Number = i + 1
		table.Entries = append(table.Entries, entry)
	}
	return table, nil
}

// parseEntry reads the fields of table 5.6 of the UEFI specification from at
// least minEntrySize bytes.
func parseEntry(b []byte) Entry {
	units := make([]uint16, 0, 36)
	for offset := 56; offset < 128; offset += 2 {
		unit := binary.LittleEndian.Uint16(b[offset:])
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	return Entry{
		Type:       fromDisk(b[0:16]),
		ID:         fromDisk(b[16:32]),
		FirstLBA:   binary.LittleEndian.Uint64(b[32:]),
		LastLBA:    binary.LittleEndian.Uint64(b[40:]),
		Attributes: binary.LittleEndian.Uint64(b[48:]),
		Name:       string(utf16.Decode(units)),
	}
}

// hasProtectiveMBR reports whether sector 0 is an MBR with a partition of type 0xee.
func hasProtectiveMBR(r io.ReaderAt) (bool, error) {
	var sector [512]byte
	if err := readFull(r, sector[:], 0); err != nil {
		return false, fmt.Errorf("sector 0: %w", err)
	}
	if sector[510] != 0x55 || sector[511] != 0xaa {
		return false, nil
	}
	for offset := 446; offset < 510; offset += 16 {
		if sector[offset+4] == 0xee {
			return true, nil
		}
	}
	return false, nil
}

func signatureAt(r io.ReaderAt, offset int64) (bool, error) {
	var text [len(signature)]byte
	if err := readFull(r, text[:], offset); err != nil {
		return false, fmt.Errorf("header at byte %d: %w", offset, err)
	}
	return string(text[:]) == signature, nil
}

// readFull fills b. A ReaderAt may say io.EOF beside the last bytes of a file.
func readFull(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func validSectorSize(size int) bool {
	for _, valid := range sectorSizes {
		if size == valid {
			return true
		}
	}
	return false
}
