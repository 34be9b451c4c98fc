package initramfs

import (
	"bufio"
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
	k, err := openKernel(o.KernelTree, o.Release)
	if err != nil {
		return nil, err
	}
	chosen, err := pickModules(k.index, requestsOf(o))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "==> kernel %s: %d modules%s\n", k.release, len(chosen.modules), builtInNote(chosen.builtIn))

	image := newLayout()
	result := &Result{Release: k.release, BuiltIn: chosen.builtIn}
	if err := addBase(image); err != nil {
		return nil, err
	}
	if result.Modules, err = addModules(image, k, chosen); err != nil {
		return nil, err
	}
	if o.Conf != "" {
		if err := addConf(image, o.Conf); err != nil {
			return nil, err
		}
	}
	for _, include := range o.Includes {
		if err := addInclude(image, include); err != nil {
			return nil, err
		}
	}
	if err := addInit(image, o.Init); err != nil {
		return nil, err
	}

	fmt.Fprintf(log, "==> pack %d entries, compression %s\n", len(image.records), compressionOf(o))
	if err := writeImage(image, o, result); err != nil {
		return nil, err
	}
	return result, nil
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
	switch compressionOf(o) {
	case CompressionZstd, CompressionGzip, CompressionNone:
		return nil
	}
	return fmt.Errorf("build image: %w", unknownCompression(o.Compression))
}

// requestsOf lists the module names that o asks for.
func requestsOf(o Options) []request {
	names, reason := o.Modules, "asked for"
	if names == nil {
		names, reason = DefaultModules, "in the default set"
	}
	var requests []request
	for _, name := range names {
		requests = append(requests, request{name, reason})
	}
	for _, name := range o.ExtraModules {
		requests = append(requests, request{name, "asked for"})
	}
	return requests
}

func builtInNote(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (built in: " + strings.Join(names, " ") + ")"
}

// addBase puts in the directories, device nodes and applet links.
func addBase(l *layout) error {
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
	for _, applet := range AppletLinks {
		if err := l.addSymlink(path.Join(appletsPath, applet), "/"+initPath); err != nil {
			return err
		}
	}
	return nil
}

// addModules puts in the unpacked modules and their indexes.
func addModules(l *layout, k *kernel, s *selection) ([]Module, error) {
	folder := path.Join(modulesPath, k.release)
	var modules []Module
	for _, m := range s.modules {
		content, err := readModule(k.folder, m.Path)
		if err != nil {
			return nil, err
		}
		name := path.Join(folder, unpackedName(m.Path))
		if err := l.addFile(name, 0o644, content); err != nil {
			return nil, err
		}
		modules = append(modules, Module{Name: m.Name(), Path: "/" + name, Reason: m.reason, Size: int64(len(content))})
	}
	for _, index := range indexFilesFor(k, s) {
		if err := l.addFile(path.Join(folder, index.name), 0o644, index.content); err != nil {
			return nil, err
		}
	}
	return modules, nil
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

// writeImage packs and compresses into the output, and fills in the sizes.
func writeImage(l *layout, o Options, result *Result) error {
	output, err := createOutput(o.Output)
	if err != nil {
		return err
	}
	packed := &counter{w: output}
	buffered := bufio.NewWriterSize(packed, 1<<20)
	// mkuimage wants a directory for compilers' output, which we have none of.
	result.RawSize, err = compressImage(l, o, filepath.Dir(output.name), buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if packed.err != nil {
		err = cause(packed.err)
	}
	if err != nil {
		output.discard()
		return fmt.Errorf("write %s: %w", o.Output, err)
	}
	result.Size = packed.count
	if err := output.commit(); err != nil {
		return fmt.Errorf("write %s: %w", o.Output, err)
	}
	return nil
}

// compressImage packs and compresses into w, and gives the archive's size.
func compressImage(l *layout, o Options, scratch string, w io.Writer) (size int64, err error) {
	compressor, err := newCompressor(o, w)
	if err != nil {
		return 0, err
	}
	raw := &counter{w: compressor}
	buffered := bufio.NewWriterSize(raw, 1<<20)
	err = l.write(buffered, o.ModifiedAt, scratch)
	if err == nil {
		err = buffered.Flush()
	}
	// A compressor that stopped early tells why when it is closed, better
	// than the broken pipe that stopped the writing.
	if closing := compressor.Close(); closing != nil && (err == nil || raw.err != nil) {
		err = closing
	}
	return raw.count, err
}
