package verity

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"

	"github.com/preroot/preroot/internal/fec"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/veritytable"
)

// formatJob is what format is going to do; all of it is checked before anything is written.
type formatJob struct {
	data        *device
	superblock  *veritytable.Superblock
	geometry    *veritytable.Geometry
	description description
	// hash and parity may be one target.
	hash, parity *target
	layout       *fec.Layout
	rootHashFile *os.File
	madeRootFile bool
}

func runFormat(ctx context.Context, s *session) (err error) {
	job, err := s.planFormat()
	if err != nil {
		return err
	}
	defer closeAll(job.data)
	if err := s.openTargets(job); err != nil {
		return err
	}
	defer func() { err = job.finish(err) }()
	if err := s.writeFormat(ctx, job); err != nil {
		return err
	}
	if _, err := fmt.Fprint(s.stdout, job.description.text(s.hashOffset, s.fecOffset)); err != nil {
		return err
	}
	return job.writeRootHash()
}

// planFormat checks what was typed against what is there, in the order in which the
// original finds out, and opens the data.
func (s *session) planFormat() (*formatJob, error) {
	job := &formatJob{}
	err := s.checkTargets()
	if err != nil {
		return nil, err
	}
	if job.superblock, err = s.parameters(); err != nil {
		return nil, err
	}
	if job.data, err = openDevice(s.operands[0], os.O_RDONLY); err != nil {
		return nil, err
	}
	for _, step := range []func(*formatJob) error{s.countBlocks, s.planTree, s.checkOverlap, s.checkData, s.planParity, s.chooseUUID} {
		if err := step(job); err != nil {
			closeAll(job.data)
			return nil, err
		}
	}
	return job, nil
}

// checkTargets looks whether what is to be written is there, or could be made, without making it yet.
func (s *session) checkTargets() error {
	if err := checkCreatable(s.operands[1], "hash"); err != nil {
		return err
	}
	if s.fecDeviceGiven {
		if err := checkCreatable(s.fecDevice, "FEC"); err != nil {
			return err
		}
	}
	return checkUsable(s.operands[1], exitDevice)
}

// countBlocks finds the number of data blocks, and areas that overlap the data.
func (s *session) countBlocks(job *formatJob) error {
	b := job.superblock
	if job.data.size < sector {
		return failf("Header detected but device %s is too small.", job.data.Name())
	}
	if b.DataBlocks == 0 {
		b.DataBlocks = uint64(job.data.size) / uint64(b.DataBlockSize)
		if tail := job.data.size % int64(b.DataBlockSize); tail > 0 && b.DataBlocks > 0 {
			s.explain(fmt.Sprintf("the last %d bytes of %s fill no data block and are not covered", tail, job.data.Name()))
		}
	}
	// Too many for any device is for planTree to say, after what the original finds first.
	dataEnd := uint64(math.MaxUint64)
	if b.DataBlocks <= math.MaxInt64/uint64(b.DataBlockSize) {
		dataEnd = b.DataBlocks * uint64(b.DataBlockSize)
	}
	if isSameFile(s.operands[0], s.operands[1]) && dataEnd > s.hashOffset {
		return fail(exitParameters, "Data area overlaps with hash area.")
	}
	if s.fecDevice != "" && isSameFile(s.fecDevice, s.operands[0]) && dataEnd > s.fecOffset {
		return fail(exitParameters, "Data area overlaps with FEC area.")
	}
	return nil
}

// planTree finds where the tree will be.
func (s *session) planTree(job *formatJob) error {
	if err := s.checkAlgorithm(); err != nil {
		return err
	}
	if err := checkUsable(s.fecDevice, exitMemory); err != nil {
		return err
	}
	b := job.superblock
	var err error
	job.geometry, err = s.geometry(b)
	job.description = description{name: s.operands[1], superblock: b, geometry: job.geometry, algorithm: s.hash}
	job.description.fecShared = s.fecDevice != "" && isSameFile(s.fecDevice, s.operands[1])
	if int64(b.DataBlockSize) > int64(pageSize()) {
		fmt.Fprintf(s.stderr, "WARNING: Kernel cannot activate device if data block size exceeds page size (%d).\n", pageSize())
	}
	return err
}

// checkOverlap looks whether the parity would lie in the tree, or on the superblock: the original overwrites them.
func (s *session) checkOverlap(job *formatJob) error {
	b := job.superblock
	if !job.description.fecShared || s.fecOffset >= uint64(job.hashEnd()) || b.DataBlockSize != b.HashBlockSize {
		return nil
	}
	return &failure{code: exitParameters, lines: "Hash area overlaps with FEC area.",
		cause: fmt.Errorf("the hash area ends at byte %d, the FEC area starts at byte %d", job.hashEnd(), s.fecOffset)}
}

// checkData looks whether the data that is to be hashed is there.
func (s *session) checkData(job *formatJob) error {
	b := job.superblock
	if available := uint64(job.data.size) / uint64(b.DataBlockSize); b.DataBlocks > available {
		// The original meets the end in the middle of its work.
		return &failure{code: exitParameters, lines: "Input/output error while creating hash area.",
			cause: fmt.Errorf("%d data blocks are asked for, %s has %d", b.DataBlocks, job.data.Name(), available)}
	}
	return nil
}

// planParity finds where error correction data will be, if it is asked for.
func (s *session) planParity(job *formatJob) error {
	if s.fecDevice == "" {
		return nil
	}
	if s.fecOffset > math.MaxInt64 {
		return fail(exitParameters, "Device offset overflow.")
	}
	end := int64(s.fecOffset)
	if !job.description.fecShared {
		// As long as the hash device will be once the tree is there.
		end = job.hashEnd()
		if info, err := os.Stat(s.operands[1]); err == nil && isUsable(info) {
			hash, err := openDevice(s.operands[1], os.O_RDONLY)
			if err != nil {
				return err
			}
			end = max(end, hash.size)
			closeAll(hash)
		}
	}
	layout, err := s.fecLayout(job.superblock, job.geometry, end)
	if err != nil {
		return err
	}
	job.layout, job.description.fec = &layout, &layout
	return nil
}

// hashEnd is the byte behind the hash area: the tree, or the superblock if there is no tree.
func (job *formatJob) hashEnd() int64 {
	if job.superblock.Bare && job.geometry.TreeBlocks == 0 {
		return 0
	}
	return int64(job.geometry.StartBlock+job.geometry.TreeBlocks) * int64(job.superblock.HashBlockSize)
}

// openTargets opens, and makes where missing, all that will be written to.
func (s *session) openTargets(job *formatJob) (err error) {
	defer func() {
		if err != nil {
			err = job.finish(err)
		}
	}()
	if job.hash, err = openTarget(s.operands[1], "hash"); err != nil {
		return err
	}
	if job.layout != nil {
		job.parity = job.hash
		if !job.description.fecShared {
			if job.parity, err = openTarget(s.fecDevice, "FEC"); err != nil {
				return err
			}
		}
	}
	if !s.rootHashFileGiven {
		return nil
	}
	_, statError := os.Stat(s.rootHashFile)
	job.madeRootFile = errors.Is(statError, os.ErrNotExist)
	job.rootHashFile, err = os.OpenFile(s.rootHashFile, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return &failure{code: exitParameters, lines: "Cannot create root hash file " + s.rootHashFile + " for writing.", cause: err}
	}
	return nil
}

// finish closes what was opened for writing. After a failure, what was made goes again,
// and files that were extended get their old size back.
func (job *formatJob) finish(err error) error {
	if err != nil {
		if job.parity != nil && job.parity != job.hash {
			job.parity.discard()
		}
		if job.hash != nil {
			job.hash.discard()
		}
		if job.rootHashFile != nil {
			_ = job.rootHashFile.Close()
			if job.madeRootFile {
				_ = os.Remove(job.rootHashFile.Name())
			}
		}
		return err
	}
	if job.parity != nil && job.parity != job.hash {
		err = job.parity.Close()
	}
	err = errors.Join(err, job.hash.Close())
	if job.rootHashFile != nil {
		err = errors.Join(err, job.rootHashFile.Close())
	}
	return err
}

// writeFormat writes the tree, the parity, and last the superblock: until that is on
// disk nothing takes what is there for a whole tree.
func (s *session) writeFormat(ctx context.Context, job *formatJob) error {
	if err := job.wipeSuperblock(int64(s.hashOffset)); err != nil {
		return err
	}
	end := job.hashEnd()
	if job.layout != nil && job.description.fecShared {
		end = job.layout.Offset + job.layout.Size()
	}
	if err := job.hash.grow(end); err != nil {
		return err
	}
	if job.layout != nil && !job.description.fecShared {
		if err := job.parity.grow(job.layout.Offset + job.layout.Size()); err != nil {
			return err
		}
	}
	progress := s.newProgress("format")
	root, err := hashtree.Build(ctx, job.superblock, int64(s.hashOffset), hashtree.ReaderSource(job.data, job.data.size), job.hash,
		hashtree.Options{Workers: s.workers, Progress: progress.tell})
	progress.end()
	if err != nil {
		return areaFailure("hash", err)
	}
	job.description.rootHash = root
	if err := job.hash.Sync(); err != nil {
		return areaFailure("hash", err)
	}
	if job.layout != nil {
		if err := s.writeParity(ctx, job); err != nil {
			return areaFailure("FEC", err)
		}
	}
	if job.superblock.Bare {
		return nil
	}
	encoded, err := job.superblock.Encode()
	if err == nil {
		_, err = job.hash.WriteAt(encoded, int64(s.hashOffset))
	}
	if err == nil {
		err = job.hash.Sync()
	}
	if err != nil {
		return areaFailure("hash", err)
	}
	return nil
}

func (s *session) writeParity(ctx context.Context, job *formatJob) error {
	progress := s.newProgress("error correction")
	defer progress.end()
	devices := fec.Devices{Data: job.data, Hash: job.hash}
	if err := fec.Encode(ctx, *job.layout, devices, job.parity, fec.Options{Workers: s.workers, Progress: progress.tell}); err != nil {
		return err
	}
	return job.parity.Sync()
}

// areaFailure is the original's sentence, and the reason, which it does not give.
func areaFailure(area string, err error) error {
	return &failure{code: exitParameters, lines: fmt.Sprintf("Input/output error while creating %s area.\n%v", area, err)}
}

// wipeSuperblock makes sure that an old superblock does not describe a half-written tree.
func (job *formatJob) wipeSuperblock(offset int64) error {
	if job.superblock.Bare || job.hash.size <= offset {
		return nil
	}
	old := make([]byte, veritytable.SuperblockSize)
	n, err := job.hash.ReadAt(old, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read old superblock: %w", err)
	}
	if _, err := veritytable.ParseSuperblock(old); n == len(old) && errors.Is(err, veritytable.ErrNoSuperblock) {
		return nil
	}
	clear(old)
	if _, err := job.hash.WriteAt(old[:n], offset); err != nil {
		return fmt.Errorf("wipe old superblock: %w", err)
	}
	return job.hash.Sync()
}

// writeRootHash writes the digits, without a line feed.
func (job *formatJob) writeRootHash() error {
	if job.rootHashFile == nil {
		return nil
	}
	info, err := job.rootHashFile.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = job.rootHashFile.Truncate(0)
	}
	if err == nil {
		_, err = job.rootHashFile.WriteString(hex.EncodeToString(job.description.rootHash))
	}
	if err != nil {
		return fmt.Errorf("write root hash file: %w", err)
	}
	return nil
}

// chooseUUID reads --uuid, in the form 8-4-4-4-12 and either case, or makes a random one.
func (s *session) chooseUUID(job *formatJob) error {
	if s.noSuperblock {
		return nil
	}
	uuid := &job.superblock.UUID
	if !s.uuidGiven {
		_, _ = rand.Read(uuid[:]) // never fails
		uuid[6] = uuid[6]&0x0f | 0x40
		uuid[8] = uuid[8]&0x3f | 0x80
		job.description.uuid = formatUUID(*uuid)
		return nil
	}
	digits := ""
	if t := s.uuid; len(t) == 36 && t[8] == '-' && t[13] == '-' && t[18] == '-' && t[23] == '-' {
		digits = t[:8] + t[9:13] + t[14:18] + t[19:23] + t[24:]
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(uuid) {
		return failf("Wrong VERITY UUID format provided on device %s.", s.operands[1])
	}
	copy(uuid[:], b)
	job.description.uuid = s.uuid
	return nil
}

// isSameFile compares two names, of which neither needs to exist.
func isSameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return path.Clean(a) == path.Clean(b)
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}
