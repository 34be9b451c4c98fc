package initramfs

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/u-root/mkuimage/cpio"
)

// Build writes the image that o describes. On an error nothing is left under
// the output's name that was not there before.
func Build(o Options) (*Result, error) {
	if err := checkOptions(o); err != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = io.Discard
	}
	k, err := openKernel(o)
	if err != nil {
		return nil, err
	}
	requests, err := requestsOf(o, k)
	if err != nil {
		return nil, err
	}
	chosen, err := pickModules(k, requests)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "==> kernel %s: %d modules%s\n", k.release, len(chosen.modules), builtInNote(chosen.builtIn))

	result := &Result{Release: k.release, BuiltIn: chosen.builtIn, Missing: chosen.missing, Blacklisted: chosen.blacklisted}
	if result.Warnings, err = checkKernel(k, o, chosen); err != nil {
		return nil, err
	}
	image, err := layOut(o, k, chosen, result)
	if err != nil {
		return nil, err
	}
	early, err := readMicrocode(o.Microcode, o.ModifiedAt)
	if err != nil {
		return nil, err
	}
	if len(early) > 0 && result.Arch != "" && result.Arch != "amd64" {
		return nil, fmt.Errorf("add microcode: the image is for %s, and only x86 reads it there", result.Arch)
	}

	by := "compression " + compressionOf(o)
	if len(o.Compressor) > 0 {
		by = "compressed by " + strings.Join(o.Compressor, " ")
	}
	fmt.Fprintf(log, "==> pack %d entries, %s\n", len(image.records), by)
	if err := writeImage(image, early, k, o, result); err != nil {
		return nil, err
	}
	return result, nil
}

// layOut collects all that goes into the image, and notes in the result what that is.
func layOut(o Options, k *kernel, chosen *selection, result *Result) (image *layout, err error) {
	image = newLayout()
	if err := addBase(image, !o.NoApplets); err != nil {
		return nil, err
	}
	if err := addModules(image, k, chosen, o, result); err != nil {
		return nil, err
	}
	if o.Conf != "" {
		image.reason = "settings"
		if err := addConf(image, o.Conf); err != nil {
			return nil, err
		}
	}
	for _, include := range o.Includes {
		image.reason = "included"
		if err := addInclude(image, include); err != nil {
			return nil, err
		}
	}
	if err := addFirmware(image, k, o, result); err != nil {
		return nil, err
	}
	image.reason = "the program"
	arch, err := addInit(image, o.Init)
	if err != nil {
		return nil, err
	}
	if result.Arch == "" {
		result.Arch = o.Arch
	}
	if result.Arch == "" {
		result.Arch = arch
	}
	if arch != "" && arch != result.Arch {
		return nil, fmt.Errorf("add /init: %s is a program for %s, and the image is for %s (see --arch and --init)", o.Init, arch, result.Arch)
	}
	return image, nil
}

// checkOptions refuses what can be refused before anything is read.
func checkOptions(o Options) error {
	switch {
	case o.KernelTree == "":
		return errors.New("build image: no kernel tree given")
	case o.Init == "":
		return errors.New("build image: no program for /init given")
	case o.Output == "":
		return errors.New("build image: no output given")
	case o.ModifiedAt < 0 || o.ModifiedAt > math.MaxUint32:
		return fmt.Errorf("build image: time %d is outside 0 to %d", o.ModifiedAt, uint32(math.MaxUint32))
	}
	if o.Arch != "" && machines[o.Arch] == 0 {
		return fmt.Errorf("build image: unknown architecture %q (known: amd64, arm64)", o.Arch)
	}
	switch compressionOf(o) {
	case CompressionZstd, CompressionXz, CompressionGzip, CompressionNone:
		return nil
	}
	return fmt.Errorf("build image: %w", unknownCompression(o.Compression))
}

func builtInNote(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (built in: " + strings.Join(names, " ") + ")"
}

// addBase puts in the directories, device nodes and, if the program has applets, the links by their names.
func addBase(l *layout, applets bool) error {
	for _, name := range directories {
		if err := l.addDirectory(name, 0o755); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := l.add(cpio.CharDev(n.path, n.permissions, n.major, n.minor)); err != nil {
			return err
		}
	}
	if !applets {
		return nil
	}
	for _, applet := range AppletLinks {
		if err := l.addSymlink(path.Join(appletsPath, applet), "/"+initPath); err != nil {
			return err
		}
	}
	return nil
}

// addModules puts in the unpacked modules and their indexes.
func addModules(l *layout, k *kernel, s *selection, o Options, result *Result) error {
	folder := path.Join(modulesPath, k.release)
	var unsigned []string
	arch := o.Arch
	for _, m := range s.modules {
		if err := stopped(o.Stop); err != nil {
			return err
		}
		content, err := readModule(k.folder, m.Path)
		if err != nil {
			return err
		}
		info, err := checkModule(m.Path, content, k, arch)
		if err != nil {
			return err
		}
		// From here on all have to be like the first.
		arch = nameOfMachine(info.Machine)
		if !info.Signed {
			unsigned = append(unsigned, m.Name())
		}
		name := path.Join(folder, unpackedName(m.Path))
		l.reason = m.reason
		if err := l.addFile(name, 0o644, content); err != nil {
			return err
		}
		result.Modules = append(result.Modules, Module{
			Name: m.Name(), Path: "/" + name, Reason: m.reason, Size: int64(len(content)), License: info.License, Firmware: info.Firmware,
		})
	}
	if len(s.modules) > 0 {
		result.Arch = arch
	}
	if len(unsigned) > 0 && k.config.IsSet("CONFIG_MODULE_SIG_FORCE") {
		result.Warnings = append(result.Warnings, fmt.Sprintf("kernel %s loads signed modules only, and these are not: %s",
			k.release, strings.Join(unsigned, ", ")))
	}
	for _, index := range indexFilesFor(k, s) {
		l.reason = "index of the modules"
		if err := l.addFile(path.Join(folder, index.name), 0o644, index.content); err != nil {
			return err
		}
	}
	return nil
}

// addConf copies preroot's settings.
func addConf(l *layout, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("add settings: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("add settings: %s is not a regular file", file)
	}
	return l.addHostFile(confPath, 0o644, file, info.Size())
}

// writeImage packs and compresses into the output, and fills in the sizes. The
// files that describe the image appear together with it.
func writeImage(l *layout, early []byte, k *kernel, o Options, result *Result) error {
	output, err := createOutput(o.Output)
	if err != nil {
		return err
	}
	defer output.discard()
	packed := &counter{w: output, stop: o.Stop}
	buffered := bufio.NewWriterSize(packed, 1<<20)
	given := &summed{}
	if _, err = buffered.Write(early); err == nil {
		// mkuimage wants a directory for compilers' output, which we have none of.
		given, err = compressImage(l, o, filepath.Dir(output.name), buffered)
	}
	if err == nil {
		err = buffered.Flush()
	}
	if packed.err != nil {
		err = cause(packed.err)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", o.Output, err)
	}
	result.Size, result.RawSize, result.compression = packed.count, given.size, compressionOf(o)
	if len(o.Compressor) > 0 {
		if result.compression, err = checkCompressor(o, k, output.File, int64(len(early)), packed.count, given); err != nil {
			return fmt.Errorf("write %s: %w", o.Output, err)
		}
	}
	if result.Manifest, err = describeImage(output.File, l, o, result); err != nil {
		return fmt.Errorf("write %s: read it back: %w", o.Output, err)
	}
	if o.Describe {
		described, err := writeDescriptions(o, result)
		if err != nil {
			return err
		}
		for _, d := range described {
			defer d.discard()
		}
		for _, d := range described {
			if err := d.commit(); err != nil {
				return fmt.Errorf("write %s: %w", d.name, err)
			}
		}
	}
	if err := stopped(o.Stop); err != nil {
		return fmt.Errorf("write %s: %w", o.Output, err)
	}
	if err := output.commit(); err != nil {
		return fmt.Errorf("write %s: %w", o.Output, err)
	}
	return nil
}

// compressImage packs and compresses into w, and tells what was compressed.
func compressImage(l *layout, o Options, scratch string, w io.Writer) (given *summed, err error) {
	given = &summed{sum: sha256.New()}
	most := &atMost{w: w, left: math.MaxInt64}
	if len(o.Compressor) > 0 {
		most.left = 2*l.size() + 1<<20
	}
	compressor, err := newCompressor(o, most)
	if err != nil {
		return given, err
	}
	given.w = compressor
	raw := &counter{w: given, stop: o.Stop, progress: o.Progress, total: l.size()}
	buffered := bufio.NewWriterSize(raw, 1<<20)
	err = l.write(buffered, o.ModifiedAt, scratch)
	if err == nil {
		err = buffered.Flush()
	}
	// A compressor that stopped early tells why when it is closed, better
	// than the broken pipe that stopped the writing.
	if closing := compressor.Close(); most.err != nil {
		err = fmt.Errorf("run %s: %w", o.Compressor[0], most.err)
	} else if closing != nil && (err == nil || raw.err != nil) {
		err = closing
	} else if raw.err != nil {
		err = unread(raw.err, o.Compressor)
	}
	if reason := stopped(o.Stop); reason != nil {
		err = reason
	}
	return given, err
}
