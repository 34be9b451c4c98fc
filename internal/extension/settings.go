package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// Settings are what confext.conf or sysext.conf say.
type Settings struct {
	// Mutable is one of systemd's modes in its canonical spelling; "no" when
	// nothing is set.
	Mutable string
	// ImagePolicy as written; empty when not set.
	ImagePolicy string
	// Warnings tell about settings that were passed over, and why.
	Warnings []string
}

// Directories of configuration files, the first one before the others (systemd-sysext(8)).
var (
	// AllSettings are for a running system, which is what its /etc says.
	AllSettings = []string{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"}
	// VerifiedSettings leave out what comes, before the switch, from a place that nobody has verified.
	VerifiedSettings = []string{"/usr/local/lib/systemd", "/usr/lib/systemd"}
)

// ReadSettings reads the configuration of a class from directories below root. Settings has a warning for each of
// AllSettings that holds some and is left out.
func ReadSettings(root *rootdir.Root, class osrelease.Class, directories []string) (Settings, error) {
	settings := Settings{Mutable: "no"}
	name, section := string(class)+".conf", "SysExt"
	if class == osrelease.ClassConfext {
		section = "ConfExt"
	}
	files, err := findSettings(root, name, directories)
	if err != nil {
		return settings, fmt.Errorf("read %s: %w", name, err)
	}
	for _, file := range files {
		if err := settings.read(root, file, section); err != nil {
			return settings, fmt.Errorf("read %s: %w", name, err)
		}
	}
	for _, directory := range AllSettings {
		if slices.Contains(directories, directory) {
			continue
		}
		for _, unread := range []string{name, name + ".d"} {
			if entry, err := root.Resolve(path.Join(directory, unread)); err == nil {
				entry.Close()
				settings.Warnings = append(settings.Warnings,
					path.Join(directory, unread)+" is not read: nobody has verified it")
			}
		}
	}
	return settings, nil
}

// findSettings returns the files that count, in the order in which they are
// read: the first main file, then all drop-ins by name, an earlier directory's
// hiding a later one's. Links to /dev/null hide without being read.
func findSettings(root *rootdir.Root, name string, directories []string) ([]string, error) {
	var files []string
	hidden := false
	dropIns := map[string]string{}
	for _, directory := range directories {
		file := path.Join(directory, name)
		if exists, masked := lookUp(root, file); (exists || masked) && !hidden {
			hidden = true
			if exists && !masked {
				files = append(files, file)
			}
		}
		names, err := root.ReadNames(file + ".d")
		if err != nil {
			return nil, err
		}
		for _, dropIn := range names {
			if _, hidden := dropIns[dropIn]; !hidden && strings.HasSuffix(dropIn, ".conf") {
				dropIns[dropIn] = path.Join(file+".d", dropIn)
			}
		}
	}
	for _, dropIn := range slices.Sorted(maps.Keys(dropIns)) {
		if exists, masked := lookUp(root, dropIns[dropIn]); exists && !masked {
			files = append(files, dropIns[dropIn])
		}
	}
	return files, nil
}

// IsMasked reports whether a unit is switched off by a link to /dev/null in the /etc of a root, as systemctl mask makes it.
func IsMasked(root *rootdir.Root, unit string) bool {
	_, masked := lookUp(root, path.Join("/etc/systemd/system", unit))
	return masked
}

// lookUp tells whether there is something at a path, and whether that is a link
// to /dev/null, which need not exist below the root yet.
func lookUp(root *rootdir.Root, at string) (exists, masked bool) {
	if link, err := root.Open(at, unix.O_PATH|unix.O_NOFOLLOW); err == nil {
		target, _ := ReadLink(link)
		link.Close()
		masked = target == os.DevNull
	}
	entry, err := root.Resolve(at)
	if err != nil {
		return false, masked
	}
	entry.Close()
	return true, masked || entry.Stat.Mode&unix.S_IFMT == unix.S_IFCHR
}

func (s *Settings) read(root *rootdir.Root, file, section string) error {
	text, err := root.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	parsed, err := inifile.Parse(text)
	if err != nil {
		s.Warnings = append(s.Warnings, file+": "+err.Error())
	}
	if parsed == nil {
		return nil
	}
	// The last one that is a mode counts.
	for _, value := range parsed.All(section, "Mutable") {
		if mode, known := ParseMode(value); known {
			s.Mutable = mode
		} else {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s: Mutable=%s is no mode", file, value))
		}
	}
	if value, ok := parsed.Last(section, "ImagePolicy"); ok {
		s.ImagePolicy = value
	}
	return nil
}

// ParseMode reads a mode of --mutable= or Mutable= and returns its canonical spelling.
func ParseMode(text string) (mode string, known bool) {
	switch text {
	case "auto", "import", "ephemeral", "ephemeral-import":
		return text, true
	}
	// Booleans are taken in either case, the other words are not.
	switch strings.ToLower(text) {
	case "no", "n", "false", "f", "off", "0":
		return "no", true
	case "yes", "y", "true", "t", "on", "1":
		return "yes", true
	}
	return "", false
}
