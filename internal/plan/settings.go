package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
)

// Settings are those of /etc/preroot.conf inside the image.
type Settings struct {
	// Required names the images of a class without which the boot must not go on.
	Required map[osrelease.Class][]string
	// Flags change the mount flags of hierarchies from what systemd has.
	Flags map[string]FlagChange
	// Verity is about /usr, EtcRules what the rules for /etc work with, Selection what chooses sysexts.
	Verity    VeritySettings
	EtcRules  EtcRules
	Selection SysextSelection
	// BootRefresh says what the first start of systemd's service of a class does.
	BootRefresh map[osrelease.Class]BootRefresh
	Boot        BootSettings
	// HasSquashfs says that the image has SquashfsFile; it stands in no file.
	HasSquashfs bool
	// Failure says what happens when a boot cannot go on.
	Failure FailureSettings
}

// FlagChange is what to change of the flags of a mount.
type FlagChange struct {
	Set, Clear mountapi.Attributes
}

// ParseSettings reads preroot.conf. It is part of the image and measured with
// it, so a word that is not understood is an error: a slip must not weaken
// what somebody meant to demand.
//
//	[ConfExt]
//	Require=NAME...
//	MountFlags=HIERARCHY FLAG...
//	BootRefresh=auto
//	[SysExt]
//	Require=NAME...
//	MountFlags=HIERARCHY FLAG...
//	BootRefresh=auto
//	[Verity]
//	UsrPolicy=signed|verity|any
//	SealKeyring=BOOL
//	[Boot]
//	TpmPhases=refuse|ignore
//
// Flags are exec, noexec, suid, nosuid, dev and nodev. BootRefresh is auto, skip or systemd. Of [EtcRules], see parseEtcRules,
// of [SysExtSelection], SysextSelection.read, of [Failure], FailureSettings.read.
func ParseSettings(text []byte) (Settings, error) {
	settings := Settings{
		Required: map[osrelease.Class][]string{}, Flags: map[string]FlagChange{}, BootRefresh: map[osrelease.Class]BootRefresh{},
		Failure: NoFailureSettings(),
	}
	file, err := inifile.Parse(text)
	if err != nil {
		return settings, fmt.Errorf("read preroot.conf: %w", err)
	}
	classes := map[string]osrelease.Class{"ConfExt": osrelease.ClassConfext, "SysExt": osrelease.ClassSysext}
	for _, section := range file.Sections() {
		if section == veritySection {
			if err := settings.Verity.read(file); err != nil {
				return settings, fmt.Errorf("read preroot.conf: %w", err)
			}
			continue
		}
		if section == bootSection {
			if err := settings.Boot.read(file); err != nil {
				return settings, fmt.Errorf("read preroot.conf: %w", err)
			}
			continue
		}
		if section == failureSection {
			if err := settings.Failure.read(file); err != nil {
				return settings, fmt.Errorf("read preroot.conf: %w", err)
			}
			continue
		}
		if section == etcSection {
			if settings.EtcRules, err = parseEtcRules(file); err != nil {
				return settings, err
			}
			continue
		}
		if section == selectionSection {
			if err := settings.Selection.read(file); err != nil {
				return settings, err
			}
			continue
		}
		class, known := classes[section]
		if !known {
			return settings, fmt.Errorf("read preroot.conf: unknown section [%s]", section)
		}
		for _, key := range file.Keys(section) {
			for _, value := range file.All(section, key) {
				switch key {
				case "Require":
					settings.Required[class] = append(settings.Required[class], strings.Fields(value)...)
				case "MountFlags":
					if err := settings.addFlags(class, strings.Fields(value)); err != nil {
						return settings, fmt.Errorf("read preroot.conf: MountFlags=%.60s in [%s]: %w", value, section, err)
					}
				case "BootRefresh":
					if settings.BootRefresh[class], err = parseBootRefresh(value); err != nil {
						return settings, fmt.Errorf("read preroot.conf: BootRefresh=%.60s in [%s]: %w", value, section, err)
					}
				default:
					return settings, fmt.Errorf("read preroot.conf: unknown setting %s= in [%s]", key, section)
				}
			}
		}
	}
	return settings, nil
}

// addFlags reads a hierarchy and its flags; later ones win over earlier ones.
func (s *Settings) addFlags(class osrelease.Class, words []string) error {
	if len(words) < 2 || !slices.Contains(extension.Hierarchies(class), words[0]) {
		return fmt.Errorf("want one of %s, and flags", strings.Join(extension.Hierarchies(class), ", "))
	}
	change := s.Flags[words[0]]
	for _, word := range words[1:] {
		name, no := strings.CutPrefix(word, "no")
		flag, known := map[string]mountapi.Attributes{"exec": mountapi.NoExec, "suid": mountapi.NoSUID, "dev": mountapi.NoDev}[name]
		switch {
		case !known:
			return fmt.Errorf("%.20q is none of exec, noexec, suid, nosuid, dev, nodev", word)
		case no:
			change.Set, change.Clear = change.Set|flag, change.Clear&^flag
		default:
			change.Set, change.Clear = change.Set&^flag, change.Clear|flag
		}
	}
	s.Flags[words[0]] = change
	return nil
}
