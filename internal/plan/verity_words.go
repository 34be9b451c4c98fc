package plan

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/veritytable"
)

// VolumeOptions are those of systemd.verity_usr_options= or systemd.verity_root_options= on the kernel command line, in the words of veritytab(5).
type VolumeOptions struct {
	// HashOffset is where the superblock, or a bare tree, starts on the hash device, in bytes.
	HashOffset int64
	// Bare describes a tree without superblock, nil if there is one. No data blocks stand for as many as
	// the data device has.
	Bare *veritytable.Superblock
	// Table are the options for the kernel, without those of error correction and signature.
	Table veritytable.Options
	// FEC is the error correction, nil for none.
	FEC       *VolumeFEC
	Signature SignatureSource
}

// VolumeFEC is where the parity of a volume lies.
type VolumeFEC struct {
	Device Selector
	Offset int64 // bytes
	Roots  uint32
}

// SignatureSource says where the signature of the root hash is. The zero value is a signature partition, if
// there is one.
type SignatureSource struct {
	// Given says that somebody gave one, so that it has to be there.
	Given bool
	// Path of a file in the image, or the signature itself in DER; a signature partition if both are empty.
	Path string
	DER  []byte
}

// volumeWords collects the words of a list, which are looked at together at its end.
type volumeWords struct {
	options  VolumeOptions
	bare     veritytable.Superblock
	tree     []string // the words that describe a tree
	fec      VolumeFEC
	fecWord  string // one of the words about error correction
	warnings []string
}

// parseVolumeOptions reads the list. A word that is not known is an error, though systemd only warns about it: a
// mistyped one must not weaken what was asked for. Warnings are for words that have no effect, or weaken.
func parseVolumeOptions(text string) (VolumeOptions, []string, error) {
	w := volumeWords{
		options: VolumeOptions{Table: bootOptions},
		bare:    veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096},
		fec:     VolumeFEC{Roots: 2},
	}
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "base64:") {
		// The form from before there were options: all of it is the signature.
		text = "root-hash-signature=" + text
	}
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		known, err := false, error(nil)
		if name, value, valued := strings.Cut(word, "="); valued {
			known, err = w.setValue(name, value)
		} else {
			known, err = w.setFlag(name)
		}
		if !known {
			err = errors.New("this word is not known")
		}
		if err != nil {
			return VolumeOptions{}, nil, fmt.Errorf("%.60s: %w", word, err)
		}
	}
	return w.finish()
}

// setFlag takes a word without a value.
func (w *volumeWords) setFlag(name string) (known bool, err error) {
	table := &w.options.Table
	switch name {
	case "ignore-corruption":
		return true, errors.New("preroot mounts nothing that may be corrupted")
	case "restart-on-corruption":
		table.OnCorruption, table.OnError = veritytable.Restart, veritytable.Restart
	case "panic-on-corruption":
		table.OnCorruption, table.OnError = bootOptions.OnCorruption, bootOptions.OnError
	case "ignore-zero-blocks":
		table.IgnoreZeroBlocks = true
	case "use-tasklets":
		table.TryVerifyInTasklet = true
	case "check-at-most-once":
		table.CheckAtMostOnce = true
		w.warnings = append(w.warnings, "check-at-most-once: what changes on the disk after it was read once goes unnoticed")
	case "error-as-corruption", "shared":
		// So it is in any case.
	case "auto", "noauto", "nofail", "fail", "_netdev", "x-initrd.attach":
		// For systemd's units, which are not there yet; these are never optional.
	default:
		return false, nil
	}
	return true, nil
}

// setValue takes a word with a value.
func (w *volumeWords) setValue(name, value string) (known bool, err error) {
	switch name {
	case "superblock":
		var superblock bool
		superblock, err = parseYes(value)
		w.bare.Bare = !superblock
	case "format", "data-block-size", "hash-block-size", "data-blocks", "salt", "uuid", "hash":
		w.tree = append(w.tree, name+"=")
		err = w.setTree(name, value)
	case "hash-offset":
		w.options.HashOffset, err = parseOffset(value)
	case "fec-device", "fec-offset", "fec-roots":
		w.fecWord = name + "="
		err = w.setFEC(name, value)
	case "root-hash-signature":
		w.options.Signature, err = parseSignatureSource(value)
	case "tpm2-measure-nvpcr":
		if measured, wrong := parseYes(value); measured || wrong != nil {
			err = errors.New("preroot does not measure into a TPM")
		}
	default:
		return false, nil
	}
	return true, err
}

// setTree takes a word that describes a tree without superblock.
func (w *volumeWords) setTree(name, value string) (err error) {
	b := &w.bare
	switch name {
	case "format":
		b.HashType, err = parseUint32(value)
	case "data-block-size":
		b.DataBlockSize, err = parseUint32(value)
	case "hash-block-size":
		b.HashBlockSize, err = parseUint32(value)
	case "data-blocks":
		b.DataBlocks, err = parseSize(value)
		if err == nil && b.DataBlocks == 0 {
			err = errors.New("nothing would be verified")
		}
	case "salt":
		if b.Salt = nil; value != "-" {
			b.Salt, err = hex.DecodeString(value)
		}
	case "hash":
		b.Algorithm = strings.ToLower(value)
		if _, ok := veritytable.DigestSize(b.Algorithm); !ok {
			err = errors.New("this hash is not known")
		}
	}
	return err
}

func (w *volumeWords) setFEC(name, value string) (err error) {
	switch name {
	case "fec-device":
		w.fec.Device, err = ParseSelector(value)
	case "fec-offset":
		w.fec.Offset, err = parseOffset(value)
	case "fec-roots":
		const least, most = 2, 24
		w.fec.Roots, err = parseUint32(value)
		if err == nil && (w.fec.Roots < least || w.fec.Roots > most) {
			err = fmt.Errorf("not within %d to %d", least, most)
		}
	}
	return err
}

// finish looks at the words together.
func (w *volumeWords) finish() (VolumeOptions, []string, error) {
	if w.bare.Bare {
		w.options.Bare = &w.bare
		// Looked at now, with some number of blocks, so that the message comes before any device is waited for.
		probe := w.bare
		probe.DataBlocks = max(1, probe.DataBlocks)
		if _, err := probe.Geometry(w.options.HashOffset); err != nil {
			return VolumeOptions{}, nil, err
		}
	} else if len(w.tree) > 0 {
		w.warnings = append(w.warnings, strings.Join(w.tree, ", ")+" without effect: the superblock says so (superblock=no is missing)")
	}
	if w.fec.Device != (Selector{}) {
		w.options.FEC = &w.fec
	} else if w.fecWord != "" {
		return VolumeOptions{}, nil, fmt.Errorf("%s without fec-device=", w.fecWord)
	}
	return w.options, w.warnings, nil
}

// parseSignatureSource reads root-hash-signature=.
func parseSignatureSource(value string) (SignatureSource, error) {
	s := SignatureSource{Given: true}
	if value == "auto" {
		return s, nil
	}
	if path.IsAbs(value) {
		s.Path = value
		return s, nil
	}
	digits, ok := strings.CutPrefix(value, "base64:")
	if !ok {
		return s, errors.New("neither a path, nor base64:, nor auto")
	}
	var err error
	if s.DER, err = base64.StdEncoding.DecodeString(digits); err != nil || len(s.DER) == 0 {
		return s, errors.New("not base64")
	}
	return s, nil
}

func parseYes(value string) (bool, error) {
	yes, ok := kernelcmdline.ParseBool(value)
	if !ok {
		return false, errors.New("neither yes nor no")
	}
	return yes, nil
}

func parseUint32(value string) (uint32, error) {
	n, err := parseSize(value)
	if err == nil && n > math.MaxUint32 {
		err = errors.New("too large")
	}
	return uint32(n), err
}

// parseOffset reads a place on a device in bytes.
func parseOffset(value string) (int64, error) {
	const sector = 512
	n, err := parseSize(value)
	switch {
	case err != nil:
	case n > math.MaxInt64-1<<20:
		err = errors.New("too large")
	case n%sector != 0:
		err = fmt.Errorf("not a multiple of %d", sector)
	}
	return int64(n), err
}

// parseSize reads a number with the units of systemd, of 1024.
func parseSize(value string) (uint64, error) {
	digits, shift := strings.TrimRight(value, "KMGTPE"), 0
	if len(digits) == len(value)-1 {
		shift = 10 * (strings.IndexByte("KMGTPE", value[len(digits)]) + 1)
	} else {
		digits = value
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > math.MaxUint64>>shift {
		return 0, errors.New("not a number that is possible here")
	}
	return n << shift, nil
}
