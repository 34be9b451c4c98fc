package plan

import (
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/osrelease"
)

// Settings are those of /etc/preroot.conf inside the image.
type Settings struct {
	// Required names the images of a class without which the boot must not go on.
	Required map[osrelease.Class][]string
}

// ParseSettings reads preroot.conf. It is part of the image and measured with
// it, so a word that is not understood is an error: a slip must not weaken
// what somebody meant to demand.
//
//	[ConfExt]
//	Require=NAME...
//	[SysExt]
//	Require=NAME...
func ParseSettings(text []byte) (Settings, error) {
	settings := Settings{Required: map[osrelease.Class][]string{}}
	file, err := inifile.Parse(text)
	if err != nil {
		return settings, fmt.Errorf("read preroot.conf: %w", err)
	}
	classes := map[string]osrelease.Class{"ConfExt": osrelease.ClassConfext, "SysExt": osrelease.ClassSysext}
	for _, section := range file.Sections() {
		class, known := classes[section]
		if !known {
			return settings, fmt.Errorf("read preroot.conf: unknown section [%s]", section)
		}
		for _, key := range file.Keys(section) {
			if key != "Require" {
				return settings, fmt.Errorf("read preroot.conf: unknown setting %s= in [%s]", key, section)
			}
			for _, value := range file.All(section, key) {
				settings.Required[class] = append(settings.Required[class], strings.Fields(value)...)
			}
		}
	}
	return settings, nil
}
