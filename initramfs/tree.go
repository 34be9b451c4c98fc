package initramfs

import (
	"errors"
	"fmt"
	"io"
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
	release string
	folder  string
	index   *kerneltree.Index

	// builtInText is modules.builtin as it stands, nil when there is none.
	builtInText []byte
}

// openKernel finds the release below tree and reads its indexes.
func openKernel(tree, release string) (*kernel, error) {
	release, err := findRelease(tree, release)
	if err != nil {
		return nil, err
	}
	k := &kernel{release: release, folder: filepath.Join(tree, modulesPath, release)}

	text, found, err := readIndex(k.folder, "modules.dep")
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("read module dependencies: %s has no modules.dep: run \"depmod -b %s %s\"", k.folder, tree, release)
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
	return k, nil
}

// findRelease gives the one release below lib/modules, or checks the given one.
func findRelease(tree, release string) (string, error) {
	modules := filepath.Join(tree, modulesPath)
	entries, err := os.ReadDir(modules)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find kernel release: %s has no %s", tree, modulesPath)
	}
	if err != nil {
		return "", fmt.Errorf("find kernel release: %w", err)
	}
	var releases []string
	for _, entry := range entries {
		// A release may be a link to another place; a stray file is none.
		if info, err := os.Stat(filepath.Join(modules, entry.Name())); err == nil && info.IsDir() {
			releases = append(releases, entry.Name())
		}
	}
	if release != "" {
		for _, r := range releases {
			if r == release {
				return r, nil
			}
		}
		return "", fmt.Errorf("find kernel release: %s has no release %q (it has: %s)", modules, release, listOrNone(releases))
	}
	switch len(releases) {
	case 0:
		return "", fmt.Errorf("find kernel release: no release in %s", modules)
	case 1:
		return releases[0], nil
	}
	return "", fmt.Errorf("find kernel release: %d releases in %s, name one of: %s", len(releases), modules, listOrNone(releases))
}

func listOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
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

// readBounded reads a whole file of at most limit bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, limit)
	}
	return content, nil
}
