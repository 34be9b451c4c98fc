package verity

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/preroot/preroot/internal/fec"
	"github.com/preroot/preroot/internal/veritytable"
)

// description is what dump and format print of a tree.
type description struct {
	name       string // of the hash device, as typed
	uuid       string
	algorithm  string
	superblock *veritytable.Superblock
	geometry   *veritytable.Geometry
	fec        *fec.Layout // nil without error correction
	fecShared  bool        // the parity is on the hash device
	rootHash   []byte      // nil in dump
}

// text is the original's output.
func (d *description) text(hashOffset, fecOffset uint64) string {
	var b strings.Builder
	// The labels have the blanks that the original puts there.
	line := func(label string, format string, values ...any) {
		fmt.Fprintf(&b, "%s\t%s\n", label, fmt.Sprintf(format, values...))
	}
	salt := "-"
	if len(d.superblock.Salt) > 0 {
		salt = hex.EncodeToString(d.superblock.Salt)
	}
	fmt.Fprintf(&b, "VERITY header information for %s.\n", d.name)
	line("UUID:            ", "%s", d.uuid)
	line("Hash type:       ", "%d", d.superblock.HashType)
	line("Data blocks:     ", "%d", d.superblock.DataBlocks)
	line("Data block size: ", "%d [bytes]", d.superblock.DataBlockSize)
	line("Hash blocks:     ", "%d", d.geometry.TreeBlocks)
	line("Hash block size: ", "%d [bytes]", d.superblock.HashBlockSize)
	line("Hash algorithm:  ", "%s", d.algorithm)
	if d.fec != nil {
		line("FEC RS roots:   ", "%d", d.fec.Roots)
		line("FEC blocks:     ", "%d", d.fec.ParityBlocks())
	}
	line("Salt:            ", "%s", salt)
	if d.rootHash != nil {
		line("Root hash:      ", "%x", d.rootHash)
	}
	if hashOffset == 0 {
		line("Hash device size: ", "%d [bytes]", d.hashSize())
	}
	if d.fec != nil && !d.fecShared && fecOffset == 0 {
		line("FEC device size: ", "%d [bytes]", d.fec.Size())
	}
	return b.String()
}

// hashSize is how much of the hash device is in use, in bytes.
func (d *description) hashSize() uint64 {
	blocks := d.geometry.StartBlock + d.geometry.TreeBlocks
	if d.fec != nil && d.fecShared {
		blocks += d.fec.ParityBlocks()
	}
	return blocks * uint64(d.superblock.HashBlockSize)
}

func runDump(_ context.Context, s *session) error {
	hash, err := openDevice(s.operands[0], os.O_RDONLY)
	if err != nil {
		return err
	}
	defer closeAll(hash)
	// What was typed about a tree does not count: dump shows what is on disk.
	superblock, err := s.readSuperblock(hash)
	if err != nil {
		return err
	}
	d := description{name: hash.Name(), superblock: superblock, algorithm: superblock.Algorithm, uuid: formatUUID(superblock.UUID)}
	if d.geometry, err = s.geometry(superblock); err != nil {
		return err
	}
	if s.fecDeviceGiven {
		if err := s.describeFEC(&d, hash); err != nil {
			return err
		}
	}
	if s.json {
		return s.printJSON(d.object(s))
	}
	_, err = fmt.Fprint(s.stdout, d.text(s.hashOffset, s.fecOffset))
	return err
}

// describeFEC adds what error correction would look like with the options given; nothing
// on disk tells.
func (s *session) describeFEC(d *description, hash *device) error {
	parity, err := s.openParity(hash.Name())
	if err != nil {
		return err
	}
	defer closeAll(parity)
	end := hash.size
	if d.fecShared = parity.isSame(hash); d.fecShared {
		treeEnd := (d.geometry.StartBlock + d.geometry.TreeBlocks) * uint64(d.superblock.HashBlockSize)
		end = int64(max(treeEnd, s.fecOffset))
	}
	layout, err := s.fecLayout(d.superblock, d.geometry, end)
	if failed, ok := errors.AsType[*failure](err); ok {
		// As the original does: the rest is shown, and all is well.
		line, _, _ := strings.Cut(failed.lines, "\n")
		fmt.Fprintln(s.stderr, line)
		return nil
	}
	d.fec = &layout
	return err
}

// openParity opens the device that was named for error correction.
func (s *session) openParity(hashName string) (*device, error) {
	parity, err := openDevice(s.fecDevice, os.O_RDONLY)
	if failed, ok := errors.AsType[*failure](err); ok {
		failed.lines += "\nDevice " + hashName + " is not a valid VERITY device."
	}
	return parity, err
}

// formatUUID writes 16 bytes in text order as 8-4-4-4-12 hex digits.
func formatUUID(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
