package initramfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/preroot/preroot/initramfs/kerneltree"
)

// maxIndexSize bounds each text index that is read, in bytes. Those of a full
// distribution kernel stay below 4 MiB.
const maxIndexSize = 64 << 20

// kernel is one lib/modules/RELEASE directory and what its indexes say.
type kernel struct {
	place
	index     *kerneltree.Index
	blacklist kerneltree.Blacklist

	// builtInText is modules.builtin as it stands, nil when there is none.
	builtInText []byte

	// builtInFirmware is what drivers of the kernel itself name, by their names.
	builtInFirmware map[string][]string

	// config is nil where the tree has no configuration of this kernel.
	config kerneltree.Config
}

// openKernel finds the kernel and reads its indexes.
func openKernel(o Options) (*kernel, error) {
	p, err := findKernel(o.KernelTree, o.Root, o.Release)
	if err != nil {
		return nil, err
	}
	k := &kernel{place: p}

	text, found, err := readIndex(k.folder, "modules.dep")
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("read module dependencies: %s has no modules.dep: run \"depmod -b %s %s\"", k.folder, k.root, k.release)
	}
	dependencies, err := kerneltree.ParseDependencies(text)
	if err != nil {
		return nil, fmt.Errorf("read module dependencies in %s: %w", k.folder, err)
	}

	if text, _, err = readIndex(k.folder, "modules.alias"); err != nil {
		return nil, err
	}
	aliases, err := kerneltree.ParseAliases(text)
	if err != nil {
		return nil, fmt.Errorf("read module aliases in %s: %w", k.folder, err)
	}

	if text, _, err = readIndex(k.folder, "modules.softdep"); err != nil {
		return nil, err
	}
	soft, err := kerneltree.ParseSoftDependencies(text)
	if err != nil {
		return nil, fmt.Errorf("read soft dependencies in %s: %w", k.folder, err)
	}

	if k.builtInText, _, err = readIndex(k.folder, "modules.builtin"); err != nil {
		return nil, err
	}
	if text, _, err = readIndex(k.folder, "modules.builtin.modinfo"); err != nil {
		return nil, err
	}
	k.index = kerneltree.NewIndex(dependencies, aliases, soft,
		kerneltree.ParseBuiltIn(k.builtInText), kerneltree.ParseBuiltInAliases(text))
	k.builtInFirmware = kerneltree.ParseBuiltInFirmware(text)
	if k.config, err = readConfig(p); err != nil {
		return nil, err
	}
	k.blacklist, err = readBlacklist(p.root)
	return k, err
}

// readIndex reads one index file; found is false where there is none.
func readIndex(folder, name string) (text []byte, found bool, err error) {
	text, err = readBounded(filepath.Join(folder, name), maxIndexSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read kernel index: %w", err)
	}
	return text, true, nil
}

// readConfig reads the kernel's configuration from the first place that has it; nil where none has.
func readConfig(p place) (kerneltree.Config, error) {
	places := []string{filepath.Join(p.folder, "config"), filepath.Join(p.root, "boot", "config-"+p.release)}
	if p.image != "" {
		places = append(places, filepath.Join(filepath.Dir(p.image), "config-"+p.release))
	}
	for _, file := range places {
		text, err := readBounded(file, maxIndexSize)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read kernel configuration: %w", err)
		}
		return kerneltree.ParseConfig(text), nil
	}
	return nil, nil
}

// modprobeFolders of modprobe.d(5), those that count more first: a file there hides one of its name in those behind.
var modprobeFolders = []string{"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"}

// readBlacklist reads modprobe.d of the target.
func readBlacklist(root string) (kerneltree.Blacklist, error) {
	blacklist := make(kerneltree.Blacklist)
	seen := make(map[string]bool)
	for _, folder := range modprobeFolders {
		entries, err := os.ReadDir(filepath.Join(root, folder))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read blacklist: %w", err)
		}
		for _, entry := range entries {
			if !strings.HasSuffix(entry.Name(), ".conf") || seen[entry.Name()] {
				continue
			}
			seen[entry.Name()] = true
			text, err := readBounded(filepath.Join(root, folder, entry.Name()), maxIndexSize)
			if errors.Is(err, fs.ErrNotExist) {
				continue // a link to nowhere, such as one that leaves the root
			}
			if err != nil {
				return nil, fmt.Errorf("read blacklist: %w", err)
			}
			blacklist.AddModprobe(text)
		}
	}
	return blacklist, nil
}
