// Package sysextselection chooses the images of sysexts that belong to the version of /usr, as Flatcar's initrd does it at every boot: the one of
// the OEM, if a flag on its partition says that it is in use, and those that are enabled by name. Each gets a link in /etc/extensions. What is
// not there has to be downloaded, which is for others.
package sysextselection

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// View looks at a regular file of the root, as the next init will see it, and reads it if that is asked for. found is false if nothing is there; what
// is no regular file, or cannot be read, is an error.
type View func(at string, read bool) (text []byte, found bool, err error)

// Link is a symbolic link that is to be.
type Link struct{ At, Target string }

// Selection is what follows from a look at the root.
type Selection struct {
	Links []Link
	// Needs are what only a second stage can do, in words; Problems what is left out, and why.
	Needs, Problems []string
}

const (
	usrRelease = "/usr/lib/os-release"
	linksIn    = "/etc/extensions/"
	// maxNames bounds what is enabled and disabled; the largest number of layers of a merge is 500.
	maxNames = 500
)

// selector collects what is wanted.
type selector struct {
	Selection
	view    View
	version string
}

// Select chooses.
func Select(settings *plan.SysextSelection, view View) Selection {
	s := selector{view: view}
	// Flatcar's images are named by VERSION, which is not the same as VERSION_ID in nightly builds.
	s.version = s.field(usrRelease, "VERSION")
	if settings.OEM != "" {
		s.selectOEM(settings.OEM, settings.Copies)
	}
	s.selectEnabled(settings)
	return s.Selection
}

func (s *selector) problem(format, at, text string) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, at, text))
}

// look is the view, with errors noted.
func (s *selector) look(at string, read bool) (text []byte, found bool) {
	text, found, err := s.view(at, read)
	if err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	return text, found && err == nil
}

// field returns a value of a file like os-release, empty without one.
func (s *selector) field(file, key string) string {
	text, _ := s.look(file, true)
	return osrelease.Parse(text)[key]
}

// selectOEM looks at the flags of the OEM's partition.
func (s *selector) selectOEM(oem, copies string) {
	release := oem + "/oem-release"
	oem += "/sysext/"
	id := s.field(release, "ID")
	if id == "" {
		return
	}
	if !isName(id) {
		s.problem("%s has ID=%.40q, which names no file: no sysext of the OEM is chosen", release, id)
		return
	}
	if _, active := s.look(oem+"active-oem-"+id, false); !active {
		return
	}
	id = "oem-" + id
	flag := oem + "migrate-" + id
	if _, found := s.look(flag, false); found {
		s.Needs = append(s.Needs, flag+" asks to delete the files that the sysext "+id+" replaces")
	}
	s.choose(id, oem, copies)
}

// selectEnabled reads the names of further sysexts, one a line or several. A '-' before a name disables it; what follows a '#' is a comment.
func (s *selector) selectEnabled(settings *plan.SysextSelection) {
	var names, disabled []string
	for _, file := range settings.Enabled {
		text, _ := s.look(file, true)
		for _, line := range strings.Split(string(text), "\n") {
			line, _, _ = strings.Cut(line, "#")
			for _, word := range strings.Fields(line) {
				name, isDisabled := strings.CutPrefix(word, "-")
				switch {
				case !isName(name) || len(names)+len(disabled) == maxNames:
					s.problem("%s: %.40q is no name of a sysext, or one too many", file, word)
				case isDisabled:
					disabled = append(disabled, name)
				default:
					names = append(names, name)
				}
			}
		}
	}
	for i, name := range names {
		if !slices.Contains(disabled, name) && !slices.Contains(names[:i], name) {
			s.choose(settings.Prefix+name, settings.Images, "")
		}
	}
}

// choose makes the link for an image that is in one of two directories, the second of which may be empty, or says that it is missing.
func (s *selector) choose(name, first, second string) {
	if !isName(s.version) {
		s.problem("%s has VERSION=%.40q, which names no file: no sysext is chosen", usrRelease, s.version)
		return
	}
	need := "the sysext " + name + " is missing and must be downloaded: there is no"
	problems := len(s.Problems)
	for _, directory := range []string{first, second} {
		if directory == "" {
			continue
		}
		file := strings.TrimSuffix(directory, "/") + "/" + name + "-" + s.version + ".raw"
		if _, found := s.look(file, false); found {
			s.Links = append(s.Links, Link{linksIn + name + ".raw", file})
			return
		}
		need += " " + file
	}
	if len(s.Problems) == problems {
		s.Needs = append(s.Needs, need)
	}
}

// isName reports whether a text can be a part of a file's name, and no way to somewhere else.
func isName(text string) bool {
	return text != "" && len(text) <= 100 && text[0] != '.' &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~^-") == ""
}
