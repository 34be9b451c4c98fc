// Package bootrefresh makes the first start of systemd-confext.service and systemd-sysext.service do nothing where what
// the boot merged is still what there is.
//
// The boot leaves two things in /run, which the real root keeps. A drop-in for the service puts a directory of ours in front
// of its ExecSearchPath=. And that directory has this program, under the name of the service's own, and a stamp that
// says in which state the boot left everything. Whoever starts the program takes both away first: from then on
// the original is found, as if we had never been there. So nothing can be skipped twice, and nothing of ours is
// needed, or takes memory, later on.
package bootrefresh

import (
	"errors"
	"os"
	"path"
	"strings"

	"github.com/preroot/preroot/internal/osrelease"
)

// Directory has a directory for each class with the program and the stamp.
const Directory = "/run/preroot/boot-refresh"

const stampName = "stamp"

// ProgramName is the name of systemd's program for a class, which is also that of the service.
func ProgramName(class osrelease.Class) string { return "systemd-" + string(class) }

// searchPath is where systemd looks for programs that are named without a path.
var searchPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"}

func classDirectory(class osrelease.Class) string { return path.Join(Directory, string(class)) }

// ClassOf returns the class for whose service a program is called by the path of its file ("/proc/self/exe"), "" if
// that is none of ours.
func ClassOf(executable string) osrelease.Class {
	for _, class := range []osrelease.Class{osrelease.ClassConfext, osrelease.ClassSysext} {
		if executable == path.Join(classDirectory(class), ProgramName(class)) {
			return class
		}
	}
	return ""
}

// Take reads the stamp of a class, after it and the program have been removed. An error means that nothing is known.
func Take(class osrelease.Class) (*Stamp, error) { return takeFrom(Directory, class) }

func takeFrom(directory string, class osrelease.Class) (*Stamp, error) {
	at := path.Join(directory, string(class))
	file := path.Join(at, stampName)
	text, err := os.ReadFile(file)
	missing := errors.Is(err, os.ErrNotExist)
	if removed := os.Remove(file); !missing {
		err = errors.Join(err, removed)
	}
	if removed := os.Remove(path.Join(at, ProgramName(class))); !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	// They stay while the other class needs them.
	_ = os.Remove(at)
	_ = os.Remove(directory)
	if err != nil {
		return nil, err
	}
	return ParseStamp(text, class)
}

// FindOriginal returns the path of systemd's program for a class: the one that the boot found, else the first one in the
// directories of searchPath, a list as in PATH, or in systemd's own.
func FindOriginal(class osrelease.Class, stamp *Stamp, pathVariable string) (string, error) {
	name := ProgramName(class)
	var candidates []string
	if stamp != nil {
		candidates = append(candidates, stamp.Program)
	}
	for _, directory := range append(strings.Split(pathVariable, ":"), searchPath...) {
		if path.IsAbs(directory) && path.Clean(directory) != classDirectory(class) {
			candidates = append(candidates, path.Join(directory, name))
		}
	}
	for _, candidate := range candidates {
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", errors.New("find " + name + ": it is in none of " + strings.Join(searchPath, ", "))
}
