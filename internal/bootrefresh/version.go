package bootrefresh

import (
	"errors"
	"path"
	"strconv"
	"strings"

	"github.com/preroot/preroot/internal/rootdir"
)

// sharedLibrary is the start of the name of the library that all of systemd's programs use; its version follows.
const sharedLibrary = "libsystemd-shared-"

// ReadSystemdVersion returns the release of the systemd below root, such as 257, by the name of its library: to run it is out of the question.
func ReadSystemdVersion(root *rootdir.Root) (int, error) {
	// Debian has it in a directory of the architecture.
	directories := []string{"/usr/lib/systemd", "/usr/lib64/systemd"}
	names, err := root.ReadNames("/usr/lib")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if strings.Contains(name, "-linux-") {
			directories = append(directories, path.Join("/usr/lib", name, "systemd"))
		}
	}
	version := 0
	for _, directory := range directories {
		names, err := root.ReadNames(directory)
		if err != nil {
			return 0, err
		}
		for _, name := range names {
			found := parseLibraryName(name)
			if found != 0 && version != 0 && found != version {
				return 0, errors.New("there are libraries of more than one systemd")
			}
			version = max(version, found)
		}
	}
	if version == 0 {
		return 0, errors.New("there is no " + sharedLibrary + "*.so")
	}
	return version, nil
}

// parseLibraryName reads names such as libsystemd-shared-257.so and libsystemd-shared-257.9-1.fc42.so; 0 for others.
func parseLibraryName(name string) int {
	rest, ok := strings.CutPrefix(name, sharedLibrary)
	if !ok || !strings.HasSuffix(rest, ".so") {
		return 0
	}
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	version, err := strconv.Atoi(rest[:digits])
	if err != nil || digits > 4 || !strings.ContainsRune(".-~^+", rune(rest[digits])) {
		return 0
	}
	return version
}
