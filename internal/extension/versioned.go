package extension

import (
	"cmp"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/versionorder"
)

// versioned is the pattern of a directory NAME.SUFFIX.v, whose entries NAME_VERSION.SUFFIX are versions of one
// image (systemd.v(7)).
type versioned struct {
	name, suffix string
}

// parseVersioned takes the name of a directory without ".v" apart.
func parseVersioned(class osrelease.Class, text string) versioned {
	name := text
	for _, kind := range []string{".raw", ".mstack"} {
		if rest, ok := strings.CutSuffix(name, kind); ok {
			name = rest
			break
		}
	}
	name = strings.TrimSuffix(name, "."+string(class))
	return versioned{name: name, suffix: text[len(name):]}
}

// version is one entry of such a directory.
type version struct {
	entryName, text string
	foreign         int // 0 native architecture, 1 secondary, 2 none or unknown
	counted         bool
	left, done      uint64 // tries, if counted
}

// parseVersion takes the name of an entry apart; not ok for what is no version of the image, or
// for another architecture.
func parseVersion(pattern versioned, entryName, native string) (v version, ok bool) {
	text, ok := strings.CutPrefix(entryName, pattern.name+"_")
	if !ok {
		return v, false
	}
	if text, ok = strings.CutSuffix(text, pattern.suffix); !ok {
		return v, false
	}
	v = version{entryName: entryName, foreign: 2}
	if i := strings.LastIndexByte(text, '+'); i >= 0 {
		if left, done, ok := parseTries(text[i+1:]); ok {
			v.counted, v.left, v.done, text = true, left, done, text[:i]
		}
	}
	if i := strings.LastIndexByte(text, '_'); i >= 0 {
		switch word := text[i+1:]; {
		case word == native:
			v.foreign = 0
		case word == secondary(native):
			v.foreign = 1
		case isArchitecture(word):
			return v, false
		}
		text = text[:i]
	}
	v.text = text
	return v, validVersion(text)
}

// parseTries reads LEFT or LEFT-DONE.
func parseTries(text string) (left, done uint64, ok bool) {
	leftText, doneText, both := strings.Cut(text, "-")
	left, err := strconv.ParseUint(leftText, 10, 64)
	if err == nil && both {
		done, err = strconv.ParseUint(doneText, 10, 64)
	}
	return left, done, err == nil
}

func validVersion(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune(".-~^", r))
	})
}

// secondary is the architecture that a machine can run besides its own.
func secondary(native string) string {
	switch native {
	case "x86-64":
		return "x86"
	case "arm64":
		return "arm"
	}
	return ""
}

// isArchitecture knows the words of ConditionArchitecture= (systemd.unit(5)).
func isArchitecture(word string) bool {
	switch word {
	case "x86", "x86-64", "ppc", "ppc-le", "ppc64", "ppc64-le", "ia64", "parisc", "parisc64", "s390", "s390x", "sparc", "sparc64",
		"mips", "mips-le", "mips64", "mips64-le", "alpha", "arm", "arm-be", "arm64", "arm64-be", "sh", "sh64", "m68k", "tilegx",
		"cris", "arc", "arc-be", "riscv32", "riscv64", "loongarch64", "nios2":
		return true
	}
	return false
}

// compare orders versions, the better one being greater: one with tries left, newer, of the nearer
// architecture, with more tries left, with fewer done, by name.
func (v version) compare(o version) int {
	rank := func(v version) int {
		if !v.counted || v.left > 0 {
			return 1
		}
		return 0
	}
	tries := func(v version) uint64 {
		if !v.counted {
			return ^uint64(0)
		}
		return v.left
	}
	return cmp.Or(
		cmp.Compare(rank(v), rank(o)),
		versionorder.Compare(v.text, o.text),
		cmp.Compare(o.foreign, v.foreign),
		cmp.Compare(tries(v), tries(o)),
		cmp.Compare(o.done, v.done),
		strings.Compare(v.entryName, o.entryName))
}

// pickVersion returns the best entry of a versioned directory, nil if there is none.
func pickVersion(root *rootdir.Root, directory string, pattern versioned, goarch string) (*rootdir.Entry, error) {
	names, err := root.ReadNames(directory)
	if err != nil {
		return nil, err
	}
	var best version
	var entry *rootdir.Entry
	for _, name := range names {
		v, ok := parseVersion(pattern, name, osrelease.Architecture(goarch))
		if !ok || entry != nil && v.compare(best) <= 0 {
			continue
		}
		candidate, err := root.Resolve(path.Join(directory, name))
		if err != nil {
			continue
		}
		if !pattern.fits(candidate) {
			candidate.Close()
			continue
		}
		if entry != nil {
			entry.Close()
		}
		best, entry = v, candidate
	}
	return entry, nil
}

// fits reports whether an entry is of the type that its suffix says.
func (p versioned) fits(entry *rootdir.Entry) bool {
	if strings.HasSuffix(p.suffix, ".raw") {
		return entry.IsRegular() || entry.Stat.Mode&unix.S_IFMT == unix.S_IFBLK
	}
	return entry.IsDirectory() && !strings.HasSuffix(p.suffix, ".mstack")
}
