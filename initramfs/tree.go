package initramfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// place is where a kernel's modules are.
type place struct {
	release string
	folder  string // lib/modules/RELEASE
	root    string // the system it belongs to: what has boot and etc/modprobe.d
	image   string // vmlinuz, if that was named
}

// modulesFolders are where a root may have lib/modules. On most systems the first is a link to the second.
var modulesFolders = []string{modulesPath, "usr/lib/modules"}

// findKernel finds what "kernel" names: a directory with lib/modules (the root of a system, or a tree for one kernel), a
// directory of modules itself, a kernel image, or a release that the root has. The root is the directory in
// the first case unless it was named, and "/" otherwise.
func findKernel(kernel, root, release string) (place, error) {
	info, err := os.Stat(kernel)
	switch {
	case err == nil && info.IsDir():
		return findInDirectory(kernel, root, release)
	case err == nil && info.Mode().IsRegular():
		return findByImage(kernel, root, release)
	case err == nil:
		return place{}, fmt.Errorf("find kernel: %s is neither a directory nor a kernel image", kernel)
	case !errors.Is(err, fs.ErrNotExist):
		return place{}, fmt.Errorf("find kernel: %w", err)
	case strings.Contains(kernel, "/"):
		return place{}, fmt.Errorf("find kernel: %s does not exist", kernel)
	case release != "" && release != kernel:
		return place{}, fmt.Errorf("find kernel: two releases asked for: %s and %s", kernel, release)
	}
	if root == "" {
		root = "/"
	}
	p, found := modulesOf(root, kernel)
	if !found {
		return place{}, fmt.Errorf("find kernel: %s is no file here, and no release in %s (it has: %s)", kernel,
			filepath.Join(root, modulesPath), listOrNone(releasesOf(root)))
	}
	return p, nil
}

// findInDirectory finds the release in a directory.
func findInDirectory(directory, root, release string) (place, error) {
	if _, err := os.Stat(filepath.Join(directory, "modules.dep")); err == nil {
		whole, err := filepath.Abs(directory)
		if err != nil {
			return place{}, fmt.Errorf("find kernel: %w", err)
		}
		if release != "" && release != filepath.Base(whole) {
			return place{}, fmt.Errorf("find kernel: %s is of release %s, not %s", directory, filepath.Base(whole), release)
		}
		if root == "" {
			// lib/modules/RELEASE, or usr/lib/modules/RELEASE.
			root = filepath.Dir(filepath.Dir(filepath.Dir(whole)))
			if filepath.Base(root) == "usr" {
				root = filepath.Dir(root)
			}
		}
		return place{release: filepath.Base(whole), folder: directory, root: root}, nil
	}
	release, err := findRelease(directory, release)
	if err != nil {
		return place{}, err
	}
	p, _ := modulesOf(directory, release)
	if root != "" {
		p.root = root
	}
	return p, nil
}

// findByImage finds the modules of a kernel image: beside it, in the system that it lies in, or in the root.
func findByImage(image, root, release string) (place, error) {
	of, err := releaseOfImage(image)
	if err != nil {
		return place{}, fmt.Errorf("find kernel: %w", err)
	}
	if release != "" && release != of {
		return place{}, fmt.Errorf("find kernel: %s is of release %s, not %s", image, of, release)
	}
	directory := filepath.Dir(image)
	if whole, err := filepath.Abs(image); err == nil && filepath.Base(filepath.Dir(whole)) == of {
		if _, err := os.Stat(filepath.Join(directory, "modules.dep")); err == nil {
			p, err := findInDirectory(directory, root, of)
			p.image = image
			return p, err
		}
	}
	roots := []string{directory, filepath.Join(directory, "..")}
	if root != "" {
		roots = []string{root}
	}
	for _, r := range roots {
		if p, found := modulesOf(r, of); found {
			p.image = image
			return p, nil
		}
	}
	return place{}, fmt.Errorf("find kernel: %s is of release %s, and there is no %s/%s in %s (name another place with --root)",
		image, of, modulesPath, of, strings.Join(roots, " or "))
}

// modulesOf gives the place of a release below a root.
func modulesOf(root, release string) (place, bool) {
	for _, folder := range modulesFolders {
		folder = filepath.Join(root, folder, release)
		if info, err := os.Stat(folder); err == nil && info.IsDir() && filepath.Base(folder) == release {
			return place{release: release, folder: folder, root: root}, true
		}
	}
	return place{}, false
}

// findRelease gives the one release below lib/modules, or checks the given one.
func findRelease(tree, release string) (string, error) {
	modules := filepath.Join(tree, modulesPath)
	var releases []string
	present := false
	for _, folder := range modulesFolders {
		entries, err := os.ReadDir(filepath.Join(tree, folder))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("find kernel release: %w", err)
		}
		present = true
		for _, entry := range entries {
			// A release may be a link to another place; a stray file is none.
			if info, err := os.Stat(filepath.Join(tree, folder, entry.Name())); err == nil && info.IsDir() {
				releases = append(releases, entry.Name())
			}
		}
		if len(releases) > 0 {
			modules = filepath.Join(tree, folder)
			break
		}
	}
	if !present {
		return "", fmt.Errorf("find kernel release: %s has no %s", tree, modulesPath)
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

// releasesOf lists what a root has, for a message.
func releasesOf(root string) []string {
	var releases []string
	for _, folder := range modulesFolders {
		entries, _ := os.ReadDir(filepath.Join(root, folder))
		for _, entry := range entries {
			releases = append(releases, entry.Name())
		}
		if len(releases) > 0 {
			break
		}
	}
	return releases
}

func listOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// readBounded reads a whole file of at most limit bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := readAtMost(f, limit)
	if err != nil && int64(len(content)) > limit {
		return nil, fmt.Errorf("%s is %w", file, err)
	}
	return content, err
}

// errTooLarge says that something has more bytes than are read of it.
func errTooLarge(limit int64) error { return fmt.Errorf("larger than %d bytes", limit) }

// readAtMost reads all of a stream. With more than limit bytes, one of which it gives, that is an error.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = errTooLarge(limit)
	}
	return content, err
}
