package verity

import (
	"fmt"
	"path"
	"strings"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/observe"
)

// mappedName returns the device mapper's name of what was typed: a name, or the path of a device node or of a
// link to one. It is empty for a path that leads nowhere. code is the exit code that the original has for
// what is no mapped device.
func mappedName(dm *devmapper.Control, typed string, code int) (string, error) {
	const limit = 127 // DM_NAME_LEN without the NUL byte
	if !strings.Contains(typed, "/") {
		if len(typed) > limit {
			return "", fail(code, fmt.Sprintf("Name %q too long.", typed))
		}
		return devmapper.MangleName(typed), nil
	}
	number, err := observe.DeviceNumber(typed)
	if err != nil {
		if path.Dir(typed) == "/dev/mapper" {
			return devmapper.MangleName(path.Base(typed)), nil
		}
		return "", nil
	}
	devices, err := dm.List()
	if err != nil {
		return "", err
	}
	for _, device := range devices {
		if number == fmt.Sprintf("%d:%d", device.Major, device.Minor) {
			return device.Name, nil
		}
	}
	return "", fail(code, "Device "+path.Base(typed)+" not found")
}
