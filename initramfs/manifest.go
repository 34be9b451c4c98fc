package initramfs

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/preroot/preroot/initramfs/contents"
)

// manifestFormat is the first thing that a manifest says. Fields may be added without a new number.
const manifestFormat = "preroot-manifest-1"

// maxManifestSize bounds a manifest that is read, in bytes.
const maxManifestSize = 256 << 20

// Names of the files beside an image.
const (
	ManifestSuffix = ".manifest.json"
	SBOMSuffix     = ".spdx.json"
)

// Manifest says what an image holds and why. It names no path of the host, so that two builds of the same
// inputs have the same one.
type Manifest struct {
	Format          string         `json:"format"`
	Image           ImageFacts     `json:"image"`
	Kernel          string         `json:"kernel"`
	Arch            string         `json:"arch"`
	Hardware        string         `json:"hardware,omitempty"`
	SourceDateEpoch int64          `json:"sourceDateEpoch"`
	BuiltIn         []string       `json:"builtIn,omitempty"`
	Missing         []string       `json:"missing,omitempty"`
	Blacklisted     []string       `json:"blacklisted,omitempty"`
	MissingFirmware []string       `json:"missingFirmware,omitempty"`
	Files           []ManifestFile `json:"files"`
}

// ImageFacts are those of the file as a whole; sizes in bytes.
type ImageFacts struct {
	Size        int64  `json:"size"`
	SHA256      string `json:"sha256"`
	Compression string `json:"compression"`
	// Command is the command that compressed it, without the folder of its program, and CommandVersion what the program says of its version.
	Command        string `json:"command,omitempty"`
	CommandVersion string `json:"commandVersion,omitempty"`
	Unpacked       int64  `json:"unpacked"`
}

// ManifestFile is one entry of the image.
type ManifestFile struct {
	Path   string `json:"path"`
	Part   int    `json:"part,omitempty"`  // of the image, counted from 0: microcode stands in one of its own
	Mode   string `json:"mode"`            // octal, with the type
	Owner  string `json:"owner,omitempty"` // UID:GID, where it is not root's
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // of regular files
	Target string `json:"target,omitempty"` // of links
	Device string `json:"device,omitempty"` // MAJOR:MINOR
	Reason string `json:"reason,omitempty"`

	sha1 string // SPDX wants it
}

// IsRegular tells a file from directories, links and nodes.
func (f ManifestFile) IsRegular() bool { return strings.HasPrefix(f.Mode, "100") }

// ListImage lists what any image holds, with digests, and its parts.
func ListImage(r io.ReaderAt, size int64) ([]ManifestFile, []contents.Part, error) {
	var files []ManifestFile
	parts, err := contents.Walk(r, size, func(e contents.Entry, content io.Reader) error {
		f := ManifestFile{Path: e.Name, Part: e.Part, Mode: fmt.Sprintf("%06o", e.Mode), Size: e.Size, Target: e.Target}
		f.Mode = strings.TrimPrefix(f.Mode, "0")
		if e.UID|e.GID != 0 {
			f.Owner = fmt.Sprintf("%d:%d", e.UID, e.GID)
		}
		switch e.Mode & 0o170000 {
		case 0o100000:
			long, short := sha256.New(), sha1.New()
			if _, err := io.Copy(io.MultiWriter(long, short), content); err != nil {
				return err
			}
			f.SHA256, f.sha1 = hex.EncodeToString(long.Sum(nil)), hex.EncodeToString(short.Sum(nil))
		case 0o020000, 0o060000:
			f.Device = fmt.Sprintf("%d:%d", e.DeviceMajor, e.DeviceMinor)
		}
		files = append(files, f)
		return nil
	})
	return files, parts, err
}

// describeImage reads what was written back, and adds why each file is there.
func describeImage(image *os.File, l *layout, o Options, result *Result) (*Manifest, error) {
	m := &Manifest{
		Format: manifestFormat, Kernel: result.Release, Arch: result.Arch, Hardware: o.Hardware, SourceDateEpoch: o.ModifiedAt,
		BuiltIn: result.BuiltIn, Missing: result.Missing, Blacklisted: result.Blacklisted,
		MissingFirmware: result.MissingFirmware,
	}
	var err error
	if m.Image, err = factsOf(image); err != nil {
		return nil, err
	}
	m.Image.Compression, m.Image.Unpacked = result.compression, result.RawSize
	m.Image.Command, m.Image.CommandVersion = commandOf(o.Compressor), compressorVersion(o.Stop, o.Compressor)
	var parts []contents.Part
	if m.Files, parts, err = ListImage(image, m.Image.Size); err != nil {
		return nil, err
	}
	for i := range m.Files {
		f := &m.Files[i]
		if f.Part < len(parts)-1 {
			f.Reason = "microcode"
		} else {
			f.Reason = l.reasons[f.Path]
		}
	}
	return m, nil
}

// factsOf reads the whole file for its size and digest.
func factsOf(image *os.File) (facts ImageFacts, err error) {
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return facts, err
	}
	sum := sha256.New()
	facts.Size, err = io.Copy(sum, image)
	facts.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return facts, err
}

// writeDescriptions writes the manifest and the SBOM, which get their names with commit.
func writeDescriptions(o Options, result *Result) (files []*outputFile, err error) {
	for _, d := range []struct {
		suffix string
		value  any
	}{{ManifestSuffix, result.Manifest}, {SBOMSuffix, sbomOf(o, result)}} {
		text, err := json.MarshalIndent(d.value, "", "  ")
		if err != nil {
			return files, fmt.Errorf("write %s%s: %w", o.Output, d.suffix, err)
		}
		f, err := createOutput(o.Output + d.suffix)
		if err == nil {
			files = append(files, f)
			if _, err = f.Write(append(text, '\n')); err != nil {
				err = fmt.Errorf("write %s%s: %w", o.Output, d.suffix, cause(err))
			}
		}
		if err != nil {
			for _, f := range files {
				f.discard()
			}
			return nil, err
		}
	}
	return files, nil
}

// ParseManifest reads a manifest.
func ParseManifest(text []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("it is no manifest: %w", err)
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("it is no manifest of a known format, but %q", m.Format)
	}
	if len(m.Files) == 0 {
		return nil, errors.New("the manifest lists no file")
	}
	return m, nil
}

// ReadManifest reads a file with a manifest.
func ReadManifest(file string) (*Manifest, error) {
	text, err := readBounded(file, maxManifestSize)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m, err := ParseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", file, err)
	}
	return m, nil
}
