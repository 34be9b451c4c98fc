package verity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/preroot/preroot/internal/fec"
)

// maxRepair bounds how many bad blocks are restored, all in memory before the first
// is written.
const maxRepair = 4096

// correct finds out whether error correction restores what does not verify, and writes
// it back where asked to. Nothing is written before all of it verifies.
func (s *session) correct(ctx context.Context, v *volume, report *verifyReport) error {
	// What the original does: all codewords for themselves, without help of the hashes.
	found, err := fec.Check(ctx, v.layout, v.devices(), s.fecOptions("check"))
	if err != nil {
		return err
	}
	restored, err := s.restore(ctx, v, report.result)
	if err != nil {
		return &failure{code: exitPermission, lines: correctionLines(found) + "Errors cannot be repaired with FEC device.", cause: err}
	}
	report.repairable = true
	lines := fmt.Sprintf("Found %d repairable errors with FEC device.", found.WrongSymbols)
	if found.Uncorrectable {
		lines = fmt.Sprintf("Found %d bad blocks that the FEC device restores with the help of the hashes.", len(restored.blocks))
	}
	if !s.repair && s.repairTo == "" {
		// The original ends with 0 here, and has not looked at what the code made of it.
		return &failure{code: exitPermission, lines: lines + "\nThe data on disk does not verify; it does once corrected."}
	}
	fmt.Fprintln(s.stderr, lines)
	if err := s.writeBack(ctx, v, restored); err != nil {
		return err
	}
	return s.verifyRepaired(ctx, v, report)
}

func (s *session) fecOptions(what string) fec.Options {
	return fec.Options{Workers: s.workers, Progress: s.newProgress(what).tell}
}

func correctionLines(found fec.CheckResult) string {
	if !found.Uncorrectable {
		return ""
	}
	return fmt.Sprintf("Failed to repair parity for block %d.\n", found.FirstRound)
}

// writeBack writes restored blocks to their places: in place, or those of the data into a copy of it.
func (s *session) writeBack(ctx context.Context, v *volume, r *restoredBlocks) error {
	if s.repairTo != "" {
		return s.writeCopy(ctx, v, r)
	}
	data, err := openDevice(v.data.Name(), os.O_WRONLY)
	if err != nil {
		return err
	}
	defer closeAll(data)
	hash, err := openDevice(v.hash.Name(), os.O_WRONLY)
	if err != nil {
		return err
	}
	defer closeAll(hash)
	for block, content := range r.blocks {
		to, place := data, int64(block)
		if block >= v.layout.DataBlocks {
			to, place = hash, int64(block-v.layout.DataBlocks+v.layout.HashStart)
		}
		if _, err := to.WriteAt(content, place*int64(v.layout.BlockSize)); err != nil {
			return fmt.Errorf("write restored block to %s: %w", to.Name(), err)
		}
	}
	return errors.Join(data.Sync(), hash.Sync())
}

// writeCopy makes a file of all covered data, corrected; on failure it goes again.
func (s *session) writeCopy(ctx context.Context, v *volume, r *restoredBlocks) (err error) {
	file, err := os.OpenFile(s.repairTo, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &failure{code: exitParameters, lines: "Cannot create file " + s.repairTo + " for writing.", cause: err}
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = os.Remove(s.repairTo)
		}
	}()
	size := int64(v.layout.DataBlocks) * int64(v.layout.BlockSize)
	buffer := make([]byte, max(1<<20, v.layout.BlockSize))
	for at := int64(0); at < size && err == nil; at += int64(len(buffer)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		part := buffer[:min(int64(len(buffer)), size-at)]
		for start := int64(0); start < int64(len(part)); start += int64(v.layout.BlockSize) {
			block := part[start:][:v.layout.BlockSize]
			if content := r.blocks[uint64((at+start)/int64(v.layout.BlockSize))]; content != nil {
				copy(block, content)
			} else if _, err = v.data.ReadAt(block, at+start); err != nil {
				return fmt.Errorf("copy data: %w", err)
			}
		}
		_, err = file.WriteAt(part, at)
	}
	if err != nil {
		return fmt.Errorf("write corrected copy: %w", err)
	}
	return file.Sync()
}

// verifyRepaired verifies all over again what was repaired.
func (s *session) verifyRepaired(ctx context.Context, v *volume, report *verifyReport) error {
	again := *v
	if s.repairTo != "" {
		if len(report.hashFailures()) > 0 {
			return failf("The copy %s is corrected, but the hash tree is damaged too: --repair corrects it.", s.repairTo)
		}
		copied, err := openDevice(s.repairTo, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer closeAll(copied)
		again.data = copied
	}
	result, err := s.verifyDevices(ctx, &again)
	if err != nil {
		return err
	}
	if !result.OK() {
		return &failure{code: exitPermission, lines: "What was repaired does not verify.\n" + s.resultLines(result)}
	}
	report.repaired = true
	s.explain("repaired, and verified again")
	return nil
}

// checkParity looks at the parity of data that verifies: nobody else does, until it is
// needed. That the parity is damaged is worth a message, not a failure.
func (s *session) checkParity(ctx context.Context, v *volume, report *verifyReport) error {
	found, err := fec.Check(ctx, v.layout, v.devices(), s.fecOptions("check"))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// The data and the tree were read to their ends just now: it is the parity that is too short.
		s.explain(err.Error())
		found, err = fec.CheckResult{Uncorrectable: true}, nil
	}
	if err != nil {
		return err
	}
	if found.WrongSymbols == 0 && !found.Uncorrectable {
		return nil
	}
	report.parityDamaged = true
	if !s.repair {
		fmt.Fprintf(s.stderr, "The data verifies, but FEC device %s is damaged.\n", s.fecDevice)
		return nil
	}
	parity, err := openDevice(s.fecDevice, os.O_RDWR)
	if err != nil {
		return err
	}
	defer closeAll(parity)
	if err := fec.Encode(ctx, v.layout, v.devices(), parity, s.fecOptions("repair")); err != nil {
		return err
	}
	report.repaired = true
	s.explain("the FEC area is written anew")
	return parity.Sync()
}
