package verity

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/preroot/preroot/internal/fec"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/veritytable"
)

// volume is all that belongs to one tree, open for reading.
type volume struct {
	data, hash *device
	parity     *device // nil without error correction
	superblock *veritytable.Superblock
	geometry   *veritytable.Geometry
	layout     fec.Layout
	root       []byte
}

func (v *volume) close() { closeAll(v.data, v.hash, v.parity) }

func (v *volume) devices() fec.Devices {
	return fec.Devices{Data: v.data, Hash: v.hash, Parity: v.parity}
}

func runVerify(ctx context.Context, s *session) error {
	if !s.rootHashFileGiven && len(s.operands) < 3 {
		return missingRootHash()
	}
	v, err := s.openVolume(s.operands[0], s.operands[1], 2)
	if err != nil {
		return err
	}
	defer v.close()
	report := verifyReport{volume: v}
	err = s.verifyVolume(ctx, v, &report)
	if object := report.object(s.badLimit()); s.json && object != nil {
		err = errors.Join(err, s.printJSON(object))
	}
	return err
}

// openVolume opens the devices and reads what describes the tree, all for reading only.
func (s *session) openVolume(dataName, hashName string, rootOperand int) (v *volume, err error) {
	opened := &volume{}
	v = opened
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	if v.hash, err = openDevice(hashName, os.O_RDONLY); err != nil {
		return nil, err
	}
	if v.data, err = openDevice(dataName, os.O_RDONLY); err != nil {
		return nil, err
	}
	// A device that is named twice is one to the original, which then looks for the superblock first.
	if dataName != hashName && v.data.size < sector {
		return nil, failf("Header detected but device %s is too small.", dataName)
	}
	if v.superblock, err = s.readTree(v.hash, v.data); err != nil {
		return nil, err
	}
	if s.fecDeviceGiven {
		if v.parity, err = s.openParity(hashName); err != nil {
			return nil, err
		}
	}
	if v.root, err = s.readRootHash(v.superblock.Algorithm, rootOperand); err != nil {
		return nil, err
	}
	if v.geometry, err = s.geometry(v.superblock); err != nil {
		return nil, err
	}
	if v.parity != nil {
		end := v.hash.size
		if v.parity.isSame(v.hash) {
			end = int64(min(s.fecOffset, uint64(end)))
		}
		v.layout, err = s.fecLayout(v.superblock, v.geometry, end)
	}
	return v, err
}

// verifyVolume checks everything and, where asked to, repairs it and checks again.
func (s *session) verifyVolume(ctx context.Context, v *volume, report *verifyReport) error {
	s.debugf("Verifying VERITY device using hash %s, %d data blocks, %d hash levels, %d workers.",
		v.superblock.Algorithm, v.superblock.DataBlocks, len(v.geometry.Levels), s.workers)
	result, err := s.verifyDevices(ctx, v)
	if err != nil {
		return err
	}
	report.result = result
	lines := s.resultLines(result)
	switch {
	case result.OK():
		if v.parity == nil {
			return nil
		}
		return s.checkParity(ctx, v, report)
	case result.Count == 0 && result.Complete:
		code := exitParameters
		if v.parity != nil {
			code = exitPermission
		}
		return &failure{code: code, lines: lines}
	case v.parity == nil || !result.Complete:
		code := exitPermission
		if result.Failures[0].Kind == hashtree.Unreadable {
			code = exitParameters
		}
		short := shortReason(v, result)
		if v.isTreeCut(result) {
			// The original makes the file longer, and goes on.
			lines = short.Error() + "\n" + lines
			short = nil
		}
		return &failure{code: code, lines: lines, cause: short}
	}
	fmt.Fprintln(s.stderr, lines)
	return s.correct(ctx, v, report)
}

// verifyDevices verifies what is on disk.
func (s *session) verifyDevices(ctx context.Context, v *volume) (*hashtree.Result, error) {
	return s.verifyHashes(ctx, v, hashtree.ReaderSource(v.data, v.data.size), hashtree.ReaderSource(v.hash, v.hash.size))
}

func (s *session) verifyHashes(ctx context.Context, v *volume, data, hash hashtree.Source) (*hashtree.Result, error) {
	progress := s.newProgress("verify")
	defer progress.end()
	limit := s.badLimit()
	if v.parity != nil {
		limit = max(limit, maxRepair)
	}
	return hashtree.Verify(ctx, v.superblock, int64(s.hashOffset), v.root, data, hash,
		hashtree.VerifyOptions{Options: hashtree.Options{Workers: s.workers, Progress: progress.tell}, Limit: limit})
}

// badLimit is how many bad blocks are listed: scripts expect the one line that the original has.
func (s *session) badLimit() int {
	switch {
	case s.maxBad > 0:
		return s.maxBad
	case s.interactive || s.debug || s.json:
		return 64
	}
	return 1
}

// resultLines is what the original says about a failure: about the first in its order. A
// list of all goes before it where more than that was asked for.
func (s *session) resultLines(result *hashtree.Result) string {
	if result.OK() {
		return ""
	}
	if result.Count == 0 {
		return "Verification of root hash failed."
	}
	lines := ""
	if limit := s.badLimit(); limit > 1 {
		for i, failed := range result.Failures {
			if i == limit {
				break
			}
			lines += "bad: " + failed.String() + "\n"
		}
		if more := result.Count - uint64(min(limit, len(result.Failures))); more > 0 {
			lines += fmt.Sprintf("bad: and %d more\n", more)
		}
	}
	switch first := result.Failures[0]; first.Kind {
	case hashtree.Mismatch:
		lines += fmt.Sprintf("Verification failed at position %d.\n", first.At)
	case hashtree.SpareArea:
		lines += fmt.Sprintf("Spare area is not zeroed at position %d.\n", first.At)
	}
	return lines + "Verification of data area failed."
}

// isTreeCut reports whether the hash device ends in the tree, the data being all there: a file
// that was cut off, and not a superblock that says nonsense.
func (v *volume) isTreeCut(result *hashtree.Result) bool {
	return !result.Complete && v.data.size >= int64(v.superblock.DataBlocks)*int64(v.superblock.DataBlockSize)
}

// shortReason explains a device that ends too early; nil if none does.
func shortReason(v *volume, result *hashtree.Result) error {
	if result.Short == nil {
		return nil
	}
	d := v.data
	if result.Short.Level >= 0 {
		d = v.hash
	}
	return &failure{lines: fmt.Sprintf("Device %s is too short: it has %d bytes, and the block at byte %d is missing.",
		d.Name(), d.size, result.Short.Offset)}
}
