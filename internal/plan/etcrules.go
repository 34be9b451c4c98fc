package plan

import (
	"fmt"
	"path"
	"strings"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/sentinel"
)

// EtcRules names what the rules for /etc work with. Each rule does nothing as long as its own is not set.
type EtcRules struct {
	// Reference is a directory below /usr with what is shipped in /etc: what equals it is removed from the root's own.
	Reference string
	// OptOut is a file of the root that switches that removal off.
	OptOut string
	// NoWhiteouts is a file below /usr with paths in /etc that cannot stay deleted, one a line.
	NoWhiteouts string
	// Accounts is a directory below /usr with passwd, group, shadow and gshadow; Users and Groups are whom the root's files must have.
	Accounts      string
	Users, Groups []string
	// Tmpfiles are files below /usr in the format of tmpfiles.d(5) for base directories.
	Tmpfiles []string
	// ResetFlag is a file of the root with a regular expression of all that a reset keeps.
	ResetFlag string
	// BlankMachineID is a machine id that stands for none.
	BlankMachineID string
	// MutableLink is made as a link to /etc where nothing of its name is: with Mutable=auto, /etc takes writes then.
	MutableLink string
}

// IsSet reports whether any rule has something to work with.
func (e *EtcRules) IsSet() bool {
	return e.Reference != "" || e.NoWhiteouts != "" || e.Accounts != "" || len(e.Tmpfiles) > 0 || e.ResetFlag != "" || e.BlankMachineID != "" || e.MutableLink != ""
}

// etcSection is the name of their section in preroot.conf.
const etcSection = "EtcRules"

// tmpfilesDirectory is where files without a path are.
const tmpfilesDirectory = "/usr/lib/tmpfiles.d/"

// etcPreset returns the places of a known image. Flatcar's are those of its initrd-setup-root.
func etcPreset(name string) (rules EtcRules, known bool) {
	if name != "flatcar" {
		return EtcRules{}, false
	}
	return EtcRules{
		Reference: "/usr/share/flatcar/etc", OptOut: "/etc/.no-dup-update", NoWhiteouts: "/usr/share/flatcar/etc-no-whiteouts",
		Accounts: "/usr/share/baselayout", Users: []string{"root", "core"}, Groups: []string{"root", "core", "docker", "sudo", "wheel"},
		Tmpfiles: []string{
			tmpfilesDirectory + "baselayout.conf", tmpfilesDirectory + "baselayout-usr.conf",
			tmpfilesDirectory + "baselayout-home.conf", tmpfilesDirectory + "base_image_var.conf",
		},
		ResetFlag: "/selective-os-reset", BlankMachineID: "42000000000000000000000000000042",
		MutableLink: extension.MutableBase + "/etc",
	}, true
}

// parseEtcRules reads the section [EtcRules]:
//
//	Preset=flatcar             all of the below as on Flatcar; the others change it
//	Reference=DIRECTORY        below /usr
//	OptOut=FILE                in /etc
//	NoWhiteouts=FILE           below /usr
//	Accounts=DIRECTORY         below /usr
//	Users=NAME...
//	Groups=NAME...
//	Tmpfiles=FILE...           names in /usr/lib/tmpfiles.d, or paths below /usr
//	ResetFlag=FILE
//	BlankMachineId=ID          32 digits
//	MutableLink=FILE           below /var/lib/extensions.mutable
//
// A list can be written in several lines; an empty value unsets what was before it, of the preset, too.
func parseEtcRules(file *inifile.File) (rules EtcRules, err error) {
	err = readPreset(file, etcSection, func(name string) (known bool) {
		rules, known = etcPreset(name)
		return known
	}, func(key, value string) error { return rules.set(key, value) })
	return rules, err
}

const errUnknownSetting = sentinel.Error("unknown setting")

// readPreset reads a section with a setting Preset, which stands for others. Those change it wherever they stand.
func readPreset(file *inifile.File, section string, preset func(name string) (known bool), set func(key, value string) error) error {
	if name, given := file.Last(section, "Preset"); given && name != "" && !preset(name) {
		return fmt.Errorf("read preroot.conf: Preset=%.40q in [%s] is not known", name, section)
	}
	for _, key := range file.Keys(section) {
		if key == "Preset" {
			continue
		}
		for _, value := range file.All(section, key) {
			if err := set(key, value); err != nil {
				return fmt.Errorf("read preroot.conf: %s=%.60q in [%s]: %w", key, value, section, err)
			}
		}
	}
	return nil
}

// set applies one setting.
func (e *EtcRules) set(key, value string) error {
	switch key {
	case "Reference":
		return setPath(&e.Reference, value, "/usr/")
	case "NoWhiteouts":
		return setPath(&e.NoWhiteouts, value, "/usr/")
	case "Accounts":
		return setPath(&e.Accounts, value, "/usr/")
	case "OptOut":
		return setPath(&e.OptOut, value, "/etc/")
	case "ResetFlag":
		return setPath(&e.ResetFlag, value, "/")
	case "MutableLink":
		return setPath(&e.MutableLink, value, extension.MutableBase+"/")
	case "Users":
		return setNames(&e.Users, value)
	case "Groups":
		return setNames(&e.Groups, value)
	case "Tmpfiles":
		return addPaths(&e.Tmpfiles, value, tmpfilesDirectory, "/usr/")
	case "BlankMachineId":
		if value != "" && (len(value) != 32 || strings.Trim(value, "0123456789abcdef") != "") {
			return fmt.Errorf("want 32 hexadecimal digits")
		}
		e.BlankMachineID = value
		return nil
	}
	return errUnknownSetting
}

// setPath takes a plain path below a directory, or none.
func setPath(field *string, value, below string) error {
	if value != "" && (path.Clean(value) != value || !strings.HasPrefix(value, below) || value == below) {
		return fmt.Errorf("want a path below %s, without '..'", below)
	}
	*field = value
	return nil
}

func setNames(field *[]string, value string) error {
	if value == "" {
		*field = nil
	}
	for _, name := range strings.Fields(value) {
		if strings.ContainsAny(name, ":/\\") || name[0] == '-' || name[0] == '+' {
			return fmt.Errorf("%.40q is no name of a user or group", name)
		}
		*field = append(append([]string{}, *field...), name)
	}
	return nil
}

// addPaths adds paths below a directory to a list; names without one are in base. No value empties it.
func addPaths(list *[]string, value, base, below string) error {
	if value == "" {
		*list = nil
	}
	for _, name := range strings.Fields(value) {
		if !strings.Contains(name, "/") {
			name = base + name
		}
		var file string
		if err := setPath(&file, name, below); err != nil {
			return err
		}
		// That of a preset stays as it is.
		*list = append(append([]string{}, *list...), file)
	}
	return nil
}
