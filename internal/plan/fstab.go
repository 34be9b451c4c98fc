package plan

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/fstab"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
)

// usualWait is how long systemd waits for the device of an entry.
const usualWait = 90 * time.Second

// memoryType is the one type without a device that is mounted early.
const memoryType = "tmpfs"

// EarlyMount is an entry of fstab(5) that is mounted before the real root starts.
type EarlyMount struct {
	// Where it goes inside the root, as the entry has it and clean. Links on the way are not resolved yet.
	Where string
	// FileSystem has no Device if Type is one without.
	FileSystem
	// Wait bounds the wait for the device; 0 for an entry without which the system can start (nofail).
	Wait time.Duration
	// Checked says that fsck has to look at it before it is mounted, if it is not clean.
	Checked bool
	Line    int
}

// HasDevice reports whether there is a device to be found.
func (m *EarlyMount) HasDevice() bool { return m.Type != memoryType }

// PlanFstab picks the entries that are for the initrd: those with x-initrd.mount (systemd.mount(5)), but for what is mounted here already, or
// not at all. Those above others come first. notes say why an entry that asked for it is left to the real root.
func PlanFstab(words kernelcmdline.CommandLine, entries []fstab.Entry, longest time.Duration) (mounts []EarlyMount, notes []string) {
	for _, key := range []string{"fstab", "rd.fstab"} {
		if wanted, err := words.Bool(key, true); err == nil && !wanted {
			return nil, nil
		}
	}
	for i := range entries {
		entry := &entries[i]
		if _, asked := entry.Option("x-initrd.mount"); !asked || entry.Type == "swap" || entry.Has("noauto", "auto") || isMounted(entry.Target) {
			continue
		}
		mount, problem := planEntry(entry, longest)
		if problem == "" && slices.ContainsFunc(mounts, func(other EarlyMount) bool { return other.Where == mount.Where }) {
			problem = "there is another entry for it"
		}
		if problem != "" {
			notes = append(notes, fmt.Sprintf("fstab, line %d: %s is not mounted early: %s", entry.Line, shorten(entry.Target), problem))
			continue
		}
		mounts = append(mounts, mount)
	}
	sort.SliceStable(mounts, func(i, j int) bool {
		return strings.Count(mounts[i].Where, "/") < strings.Count(mounts[j].Where, "/")
	})
	return mounts, notes
}

// isMounted names what the boot mounts by itself, whatever an fstab says.
func isMounted(target string) bool { return slices.Contains([]string{"/", "/usr"}, path.Clean(target)) }

func planEntry(entry *fstab.Entry, longest time.Duration) (m EarlyMount, problem string) {
	if !path.IsAbs(entry.Target) {
		return m, "it is not an absolute path"
	}
	m = EarlyMount{Where: path.Clean(entry.Target), Line: entry.Line, Checked: entry.Pass != 0}
	if problem := CheckPlace(m.Where); problem != "" {
		return m, problem
	}
	for _, option := range []string{"bind", "rbind", "_netdev", "loop", "remount"} {
		if _, found := entry.Option(option); found {
			return m, "preroot does not know the option " + option + " here"
		}
	}
	m.Options, m.Attributes = mountapi.ParseOptions(entry.Options)
	if m.Type = entry.Type; m.Type == "auto" {
		m.Type = ""
	}
	if m.HasDevice() {
		var err error
		if m.Device, err = ParseSelector(entry.Source); err != nil {
			return m, shorten(entry.Source) + ": " + err.Error()
		}
	}
	if !entry.Has("nofail", "fail") {
		m.Wait = min(deviceWait(entry), longest)
	}
	return m, ""
}

// deviceWait reads x-systemd.device-timeout=, in whole seconds; other spellings of a time leave the usual one.
func deviceWait(entry *fstab.Entry) time.Duration {
	text, _ := entry.Option("x-systemd.device-timeout")
	seconds, err := strconv.ParseUint(strings.TrimSuffix(text, "s"), 10, 16)
	if err != nil {
		return usualWait
	}
	return time.Duration(seconds) * time.Second
}

// CheckPlace says why nothing may be mounted at a place of the root, links resolved, before the switch: whoever can write to the root must not
// cover the verified /usr, or what the kernel shows. It returns "" for all other places.
func CheckPlace(where string) string {
	if where == "/" || where == "/etc" {
		return where + " is not for entries"
	}
	for _, kept := range []string{"/usr", "/proc", "/sys", "/dev", "/run"} {
		if isAtOrBelow(where, kept) {
			return "it lies in " + kept + ", which is trusted already"
		}
	}
	return ""
}

// isAtOrBelow reports whether a clean path is directory or below it.
func isAtOrBelow(at, directory string) bool {
	return at == directory || strings.HasPrefix(at, directory+"/")
}

// mutableDirectories is where the mutable directories of hierarchies are.
const mutableDirectories = "/var/lib/extensions.mutable"

// ChangesMerge reports whether a mount at a place of the root shows or hides what is merged.
func ChangesMerge(where string) bool {
	places := []string{mutableDirectories}
	for _, class := range classes {
		places = append(append(places, extension.SearchPath(class, false)...), extension.Hierarchies(class)...)
	}
	return slices.ContainsFunc(places, func(place string) bool { return isAtOrBelow(place, where) || isAtOrBelow(where, place) })
}

// IsInHierarchy reports whether a place lies in what a class of extensions is merged into. Mounts there come after the merge, which would cover
// them.
func IsInHierarchy(where string) bool {
	for _, class := range []osrelease.Class{osrelease.ClassSysext, osrelease.ClassConfext} {
		if slices.ContainsFunc(extension.Hierarchies(class), func(h string) bool { return isAtOrBelow(where, h) }) {
			return true
		}
	}
	return false
}
