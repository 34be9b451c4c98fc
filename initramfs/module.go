package initramfs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/preroot/preroot/initramfs/kerneltree"
)

// maxModuleSize bounds a module file, packed or not, in bytes. The largest with
// full debug information are below 1 GiB.
const maxModuleSize = 1 << 30

// readModule gives a module's ELF file as the build system signed it. The
// signature stands behind the ELF data (Documentation/admin-guide/module-signing.rst)
// and is part of what was packed, so unpacking keeps it.
func readModule(folder, file string) ([]byte, error) {
	content, err := readBounded(filepath.Join(folder, file), maxModuleSize)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	_, suffix := kerneltree.SplitSuffix(file)
	content, err = unpack(content, suffix, maxModuleSize)
	if err != nil {
		return nil, fmt.Errorf("unpack module %s: %w", file, err)
	}
	return content, nil
}

// checkModule makes sure that a module is one, and of this kernel. Otherwise the boot would find out.
func checkModule(file string, content []byte, k *kernel, arch string) (kerneltree.ModuleInfo, error) {
	info, err := kerneltree.ReadModuleInfo(content)
	if err != nil {
		return info, fmt.Errorf("check module %s: %w", file, err)
	}
	if info.Release != k.release {
		return info, fmt.Errorf("check module %s: it is for kernel %s (vermagic), and its tree for %s", file, info.Release, k.release)
	}
	if arch != "" && nameOfMachine(info.Machine) != arch {
		return info, fmt.Errorf("check module %s: it is for %s, and the image for %s (see --arch)", file, nameOfMachine(info.Machine), arch)
	}
	return info, nil
}

// unpack undoes the compression that a module file's suffix names. More than
// limit bytes are an error.
func unpack(content []byte, suffix string, limit int64) ([]byte, error) {
	compression, found := strings.CutPrefix(suffix, ".ko")
	if !found {
		return nil, fmt.Errorf("unknown suffix %q", suffix)
	}
	return decompress(content, compression, limit)
}

// decompress undoes the compression with a suffix, none for an empty one. More
// than limit bytes are an error.
func decompress(content []byte, suffix string, limit int64) ([]byte, error) {
	var reader io.Reader
	switch suffix {
	case "":
		return content, nil
	case ".xz":
		r, err := xz.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		reader = r
	case ".zst":
		r, err := zstd.NewReader(bytes.NewReader(content), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		reader = r
	case ".gz":
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		reader = r
	default:
		return nil, fmt.Errorf("unknown suffix %q", suffix)
	}
	unpacked, err := readAtMost(reader, limit)
	if err != nil {
		return nil, err
	}
	return unpacked, nil
}
