package vmtest

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/preroot/preroot/initramfs"
)

// linkLimit bounds how many symbolic links one path may go through (path_resolution(7)).
const linkLimit = 40

// libraryFolders are where Debian's dynamic loader looks when the program names
// no folder of its own.
var libraryFolders = []string{
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
	"/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
	"/lib64", "/usr/lib64", "/lib", "/usr/lib",
}

// IncludePrograms returns what an image needs so that the named programs of
// another root tree run in it: the programs, their ELF interpreter and all
// libraries they link to (DT_NEEDED, with DT_RUNPATH and DT_RPATH), each at the
// path where it was looked for. Names are absolute in the tree. What a program
// opens by itself at run time (dlopen, plugins, locale data) is not found.
func IncludePrograms(tree string, names ...string) ([]initramfs.Include, error) {
	c := closure{tree: tree, seen: map[string]bool{}}
	for _, name := range names {
		if err := c.add(name); err != nil {
			return nil, fmt.Errorf("include %s of %s: %w", name, tree, err)
		}
	}
	return c.includes, nil
}

type closure struct {
	tree     string
	seen     map[string]bool
	includes []initramfs.Include
}

// add takes one program or library and everything it links to.
func (c *closure) add(name string) error {
	name = path.Clean("/" + name)
	if c.seen[name] {
		return nil
	}
	c.seen[name] = true
	real, err := resolveInside(c.tree, name)
	if err != nil {
		return err
	}
	file, err := elf.Open(real)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer file.Close()
	c.includes = append(c.includes, initramfs.Include{Source: real, Destination: name})
	if interpreter := interpreterOf(file); interpreter != "" {
		if err := c.add(interpreter); err != nil {
			return err
		}
	}
	needed, err := file.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read libraries of %s: %w", name, err)
	}
	folders := searchFolders(file, path.Dir(name))
	for _, library := range needed {
		if err := c.addLibrary(library, folders); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (c *closure) addLibrary(library string, folders []string) error {
	for _, folder := range folders {
		name := path.Join(folder, library)
		_, err := resolveInside(c.tree, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		return c.add(name)
	}
	return fmt.Errorf("library %s is in none of %s", library, strings.Join(folders, " "))
}

func interpreterOf(file *elf.File) string {
	for _, program := range file.Progs {
		if program.Type != elf.PT_INTERP || program.Filesz > 4096 {
			continue
		}
		text := make([]byte, program.Filesz)
		if _, err := program.ReadAt(text, 0); err == nil {
			return strings.TrimRight(string(text), "\x00")
		}
	}
	return ""
}

func searchFolders(file *elf.File, origin string) []string {
	var folders []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		entries, err := file.DynString(tag)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			for folder := range strings.SplitSeq(entry, ":") {
				folder = strings.ReplaceAll(folder, "${ORIGIN}", origin)
				folders = append(folders, strings.ReplaceAll(folder, "$ORIGIN", origin))
			}
		}
	}
	return append(folders, libraryFolders...)
}

// resolveInside follows the symbolic links of an absolute name as if tree were
// the root, and returns the path on the host. Nothing outside the tree is read.
func resolveInside(tree, name string) (string, error) {
	rest := strings.Split(strings.Trim(path.Clean(name), "/"), "/")
	inside := "/"
	for links := 0; len(rest) > 0; {
		next := path.Join(inside, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(filepath.Join(tree, next))
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			inside = next
			continue
		}
		if links++; links > linkLimit {
			return "", fmt.Errorf("%s goes through more than %d links", name, linkLimit)
		}
		target, err := os.Readlink(filepath.Join(tree, next))
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			inside = "/"
		}
		// Components are taken one by one, so that ".." leaves the folder a
		// link led to, and stops at the root.
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return filepath.Join(tree, inside), nil
}
