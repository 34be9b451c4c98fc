package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/preroot/preroot/initramfs"
)

const verifyUsage = `Usage: mkpreroot verify [--manifest FILE] IMAGE
       mkpreroot verify --rebuild IMAGE -- BUILD-OPTION...

Compare an image with what its manifest lists, or with what the given options of
"mkpreroot build" make now, and say what differs.

  --manifest FILE       the manifest (default: IMAGE.manifest.json)
  --rebuild             build it again, in a temporary directory, and compare; time,
                        compression and architecture are those of the manifest
                        unless given; what compressed it is run again only if
                        it is a known program with options of levels
  -h, --help            print this

It ends with 0 if they are the same, 1 if they differ or cannot be compared.
`

func runVerify(stop context.Context, arguments []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	manifest := flags.String("manifest", "", "")
	rebuild := flags.Bool("rebuild", false, "")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, verifyUsage)
			return err
		}
		return usageError{"verify: " + err.Error()}
	}
	operands := flags.Args()
	if len(operands) == 0 {
		return usageError{"verify: it wants an image"}
	}
	file, rest := operands[0], operands[1:]
	if *manifest == "" {
		*manifest = file + initramfs.ManifestSuffix
	}
	if !*rebuild {
		if _, err := oneOperand("verify", operands); err != nil {
			return err
		}
		m, err := initramfs.ReadManifest(*manifest)
		if err != nil {
			return err
		}
		return compareImage(file, filepath.Base(*manifest), m, stdout)
	}
	if len(rest) > 0 && rest[0] == "--" {
		rest = rest[1:]
	}
	m, err := rebuildImage(stop, file, *manifest, rest, stderr)
	if err != nil {
		return err
	}
	return compareImage(file, "what the options make now", m, stdout)
}

// compareImage says what differs.
func compareImage(file, with string, m *initramfs.Manifest, stdout io.Writer) error {
	image, size, err := openImage(file)
	if err != nil {
		return err
	}
	defer image.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, image); err != nil {
		return fmt.Errorf("read image: %w", err)
	}
	facts := initramfs.ImageFacts{Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if facts.SHA256 == m.Image.SHA256 {
		_, err := fmt.Fprintf(stdout, "%s: the same as %s, %d entries, sha256 %s\n", file, with, len(m.Files), facts.SHA256)
		return err
	}
	files, _, err := initramfs.ListImage(image, size)
	if err != nil {
		return fmt.Errorf("%s differs from %s: %w", file, with, err)
	}
	differences := initramfs.CompareImage(facts, files, m)
	for _, d := range differences {
		fmt.Fprintln(stdout, printable(d))
	}
	return fmt.Errorf("%s differs from %s: %d differences", file, with, len(differences))
}

// rebuildImage builds with the given options into a directory that goes away, and gives the manifest.
func rebuildImage(stop context.Context, file, manifest string, arguments []string, stderr io.Writer) (*initramfs.Manifest, error) {
	folder, err := os.MkdirTemp("", "mkpreroot-")
	if err != nil {
		return nil, fmt.Errorf("rebuild: %w", err)
	}
	defer os.RemoveAll(folder)
	s, operands, err := parseBuildOptions("verify --rebuild", arguments, nil, nil)
	if err != nil {
		return nil, err
	}
	if len(operands) > 0 {
		return nil, usageError{fmt.Sprintf("verify --rebuild: unexpected argument %q", operands[0])}
	}
	s.Output = filepath.Join(folder, filepath.Base(file))
	recorded, err := initramfs.ReadManifest(manifest)
	switch {
	case err == nil && s.Arch == "":
		s.Arch = recorded.Arch
		fallthrough
	case err == nil:
		if s.Compression == "" {
			if s.Compressor, err = recorded.RepeatCompressor(); err != nil {
				return nil, err
			}
			if s.Compressor == nil {
				s.Compression = recorded.Image.Compression
			}
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	if err == nil && os.Getenv("SOURCE_DATE_EPOCH") == "" {
		s.ModifiedAt = recorded.SourceDateEpoch
	}
	s.Describe, s.Stop = false, stop
	if !s.quiet {
		s.Log, s.Progress = progressOn(stderr)
	}
	result, err := initramfs.Build(s.Options)
	if err != nil {
		return nil, fmt.Errorf("rebuild: %w", err)
	}
	return result.Manifest, nil
}
