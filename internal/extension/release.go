package extension

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// HostRelease reads the os-release of the system below root. instead, if it is not empty, is the only file that is
// tried (SYSTEMD_OS_RELEASE).
func HostRelease(root *rootdir.Root, instead string) (osrelease.Fields, error) {
	files := []string{"/etc/os-release", "/usr/lib/os-release"}
	if instead != "" {
		files = []string{instead}
	}
	for _, file := range files {
		text, err := root.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read os-release: %w", err)
		}
		fields := osrelease.Parse(text)
		if fields["ID"] == "" {
			return nil, fmt.Errorf("read os-release: %s has no ID=", file)
		}
		return fields, nil
	}
	return nil, fmt.Errorf("read os-release: no %s is there", strings.Join(files, " or "))
}

// Release reads the release file of an opened extension. tree is the
// extension's own root; nil fields mean that it has none, for the reason given.
func Release(tree *rootdir.Root, class osrelease.Class, name string) (fields osrelease.Fields, reason string, err error) {
	exact := "/" + osrelease.ReleaseFileName(class, name)
	text, err := tree.ReadFile(exact)
	if err == nil {
		return osrelease.Parse(text), "", nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, "", err
	}
	found, reason, err := otherReleaseFile(tree, path.Dir(exact), name)
	if found == "" {
		return nil, reason, err
	}
	if text, err = tree.ReadFile(found); err != nil {
		return nil, "", err
	}
	return osrelease.Parse(text), "", nil
}

// otherReleaseFile looks for a file that stands in for the one of the exact
// name: it names the image without version, or says that the name does not
// matter.
func otherReleaseFile(tree *rootdir.Root, directory, name string) (found, reason string, err error) {
	names, err := tree.ReadNames(directory)
	if err != nil {
		return "", "", err
	}
	reason = "it has no file " + directory + "/extension-release." + name
	for _, candidate := range names {
		suffix, ok := strings.CutPrefix(candidate, "extension-release.")
		if !ok || suffix == "" {
			continue
		}
		at := path.Join(directory, candidate)
		if !mayStandIn(tree, at, suffix == osrelease.BaseName(name)) {
			continue
		}
		if found != "" {
			return "", "several files in " + directory + " could be its release file", nil
		}
		found = at
	}
	return found, reason, nil
}

// mayStandIn reports whether a file can be the release file of an image that it
// does not name: only a regular file, no link, that either has the image's name
// without version (namesBase) or says by the attribute
// user.extension-release.strict, a false boolean, that any name will do.
func mayStandIn(tree *rootdir.Root, at string, namesBase bool) bool {
	file, err := tree.Open(at, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	if namesBase {
		return true
	}
	value := make([]byte, 16)
	n, err := unix.Getxattr(pathOf(file), "user.extension-release.strict", value)
	if err != nil {
		return false
	}
	switch strings.ToLower(string(value[:n])) {
	case "0", "no", "n", "false", "f", "off":
		return true
	}
	return false
}
