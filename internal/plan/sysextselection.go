package plan

import (
	"errors"
	"strings"

	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/observe"
)

// SysextSelection names what chooses the sysexts that belong to the version of /usr. Nothing is chosen as long as nothing is set.
type SysextSelection struct {
	// Device is the partition of the OEM, on the disk of /usr, and OEM where it is mounted. Copies is a directory of the root with images of
	// the OEM's sysext that found no room there.
	Device      Selector
	OEM, Copies string
	// Enabled are files with the names of further sysexts, which lie in Images as PREFIXNAME-VERSION.raw.
	Enabled        []string
	Images, Prefix string
}

// IsSet reports whether there is anything to choose by.
func (s *SysextSelection) IsSet() bool { return s.OEM != "" || len(s.Enabled) > 0 }

// selectionSection is the name of its section in preroot.conf.
const selectionSection = "SysExtSelection"

// flatcarSelection is what Flatcar's initrd-setup-root-after-ignition works with.
var flatcarSelection = SysextSelection{
	Device: Selector{ByLabel, "OEM"}, OEM: "/oem", Copies: "/etc/flatcar/oem-sysext",
	Enabled: []string{"/usr/share/flatcar/enabled-sysext.conf", "/etc/flatcar/enabled-sysext.conf"},
	Images:  "/etc/flatcar/sysext", Prefix: "flatcar-",
}

// read reads the section [SysExtSelection]:
//
//	Preset=flatcar             all of the below as on Flatcar; the others change it
//	OemDevice=DEVICE           as in root=
//	OemDirectory=DIRECTORY     where it is mounted
//	OemCopies=DIRECTORY
//	Enabled=FILE...
//	Images=DIRECTORY
//	Prefix=TEXT
//
// An empty value unsets what was before it, of the preset, too.
func (s *SysextSelection) read(file *inifile.File) error {
	return readPreset(file, selectionSection, func(name string) bool {
		*s = flatcarSelection
		return name == "flatcar"
	}, s.set)
}

// set applies one setting.
func (s *SysextSelection) set(key, value string) (err error) {
	switch key {
	case "OemDevice":
		s.Device = Selector{}
		if value != "" {
			s.Device, err = ParseSelector(value)
		}
		return err
	case "OemDirectory":
		return setPath(&s.OEM, value, "/")
	case "OemCopies":
		return setPath(&s.Copies, value, "/")
	case "Images":
		return setPath(&s.Images, value, "/")
	case "Enabled":
		return addPaths(&s.Enabled, value, "", "/")
	case "Prefix":
		if !strings.Contains(value, "/") {
			s.Prefix = value
			return nil
		}
		return errors.New("want the start of a name, without '/'")
	}
	return errUnknownSetting
}

// FindOEM returns the partition of the OEM, nil if there is none on the disk of /usr: another disk's says nothing about this system.
func (b *Boot) FindOEM(partitions []observe.Partition, usrDisk string) *observe.Partition {
	for i := range partitions {
		if p := &partitions[i]; p.Disk == usrDisk && b.Selection.Device.names(p) {
			return p
		}
	}
	return nil
}

// NoteSelection notes what only a second stage can do about the sysexts that are wanted, in words. Elsewhere the boot goes on without them.
func (b *Boot) NoteSelection(needs ...string) {
	for _, need := range needs {
		b.Fallback.add(Reason{Refusal{Reason: need}, true})
	}
}
