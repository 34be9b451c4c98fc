package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

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

// ReadSettings reads the configuration of a class from the /usr below root. The
// files of /etc and /run are not read: before the switch they come from a place
// that nobody has verified. Settings has a warning if there are any.
func ReadSettings(root *rootdir.Root, class osrelease.Class) (Settings, error) {
	settings := Settings{Mutable: "no"}
	name, section := string(class)+".conf", "SysExt"
	if class == osrelease.ClassConfext {
		section = "ConfExt"
	}
	var files []string
	dropIns := map[string]string{}
	for _, directory := range []string{"/usr/local/lib/systemd", "/usr/lib/systemd"} {
		if entry, err := root.Resolve(path.Join(directory, name)); err == nil {
			entry.Close()
			if len(files) == 0 {
				files = append(files, path.Join(directory, name))
			}
		}
		names, err := root.ReadNames(path.Join(directory, name+".d"))
		if err != nil {
			return settings, fmt.Errorf("read %s: %w", name, err)
		}
		for _, dropIn := range names {
			if _, hidden := dropIns[dropIn]; !hidden && strings.HasSuffix(dropIn, ".conf") {
				dropIns[dropIn] = path.Join(directory, name+".d", dropIn)
			}
		}
	}
	order := make([]string, 0, len(dropIns))
	for dropIn := range dropIns {
		order = append(order, dropIn)
	}
	slices.Sort(order)
	for _, dropIn := range order {
		files = append(files, dropIns[dropIn])
	}
	for _, file := range files {
		if err := settings.read(root, file, section); err != nil {
			return settings, err
		}
	}
	for _, directory := range []string{"/etc/systemd", "/run/systemd"} {
		for _, unread := range []string{name, name + ".d"} {
			if entry, err := root.Resolve(path.Join(directory, unread)); err == nil {
				entry.Close()
				settings.Warnings = append(settings.Warnings,
					path.Join(directory, unread)+" is not read: only /usr is verified")
			}
		}
	}
	return settings, nil
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
	if value, ok := parsed.Last(section, "Mutable"); ok {
		if mode, known := mutableMode(value); known {
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

func mutableMode(text string) (mode string, known bool) {
	switch text = strings.ToLower(text); text {
	case "no", "n", "false", "f", "off", "0":
		return "no", true
	case "yes", "y", "true", "t", "on", "1":
		return "yes", true
	case "auto", "import", "ephemeral", "ephemeral-import":
		return text, true
	}
	return "", false
}
