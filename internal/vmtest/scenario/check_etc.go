package scenario

import (
	"fmt"
	"slices"
)

var etcChecks = []check{
	{"3 /etc is exactly one overlay", func(e evidence) (string, error) {
		m, err := e.oneOverlay("etc-mounts", true)
		return m.source, err
	}},
	{"3 /etc is writable", func(e evidence) (string, error) {
		m, err := e.oneOverlay("etc-mounts", true)
		if err != nil {
			return "", err
		}
		text, err := e.Text("etc-write")
		if err != nil {
			return "", err
		}
		if !slices.Contains(m.vfs, "rw") || text != "written" {
			return "", fmt.Errorf("options %v, writing a file: %s", m.vfs, text)
		}
		return "a new file was written and read", nil
	}},
	{"3 the files of all layers are there, with the right winner", func(e evidence) (string, error) {
		return e.expectTestFiles("etc-files")
	}},
	{"3 an fstab line of a confext took effect", func(e evidence) (string, error) {
		return e.expect("from-confext", "mount", "active", "fstype", "tmpfs")
	}},
	{"3 a unit of a confext took effect", func(e evidence) (string, error) {
		return e.expect("from-confext", "service", "active")
	}},
}

// expectTestFiles wants the file of each layer, and of the one that all
// confexts have the default's: in version order digits sort above letters, so
// 00-default lies above plain and user.
func (e evidence) expectTestFiles(section string) (string, error) {
	return e.expect(section, "testbed-default", "default", "testbed-user", "user", "testbed-plain", "plain",
		"testbed-override", "default", "testbed-upper", "upper")
}
