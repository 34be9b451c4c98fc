package veritytable

import (
	"fmt"
	"strconv"
	"strings"
)

// Status is what the target says about what it has seen since its table was loaded.
type Status struct {
	// Corrupted says that a block did not verify. It stays set for the life of the table. A fresh
	// device is not corrupted, whatever it holds: blocks are looked at when they are read.
	Corrupted bool
	// Corrections counts what error correction has mended. HasCorrections is false where the kernel does
	// not count (6.12 does not, 7.2 does) or there is no error correction.
	Corrections    uint64
	HasCorrections bool
}

// ParseStatus reads the status of a verity target (DM_TABLE_STATUS; dmsetup status): "V" or "C", and
// on newer kernels a second word, "-" without error correction or the number of corrections.
// Further words are ignored; anything but V and C in front is an error.
func ParseStatus(text string) (Status, error) {
	words := strings.Fields(text[:min(len(text), maxTableText)])
	if len(words) == 0 {
		return Status{}, fmt.Errorf("verity status is empty")
	}
	var status Status
	switch words[0][0] {
	case 'V':
	case 'C':
		status.Corrupted = true
	default:
		return Status{}, fmt.Errorf("verity status %.40q is neither V nor C", text)
	}
	if len(words) > 1 {
		if number, err := strconv.ParseUint(words[1], 10, 64); err == nil {
			status.Corrections, status.HasCorrections = number, true
		}
	}
	return status, nil
}
