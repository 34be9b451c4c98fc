package trust

import (
	"fmt"

	"github.com/preroot/preroot/internal/kernelcmdline"
)

// UserSpaceVariable is the environment variable that can switch off the check in user space.
const UserSpaceVariable = "SYSTEMD_ALLOW_USERSPACE_VERITY"

// userSpaceKey is the same on the kernel command line.
const userSpaceKey = "systemd.allow_userspace_verity"

// UserSpaceAllowed reports whether signatures may be checked in user space: the kernel command line,
// nil if it cannot be read, and the environment variable's value, "" if it is not set, must both
// not say no. The reason says who does. What is neither yes nor no counts as no, which
// systemd ignores.
func UserSpaceAllowed(line *kernelcmdline.CommandLine, variable string) (allowed bool, reason string) {
	if yes, _ := kernelcmdline.ParseBool(variable); variable != "" && !yes {
		return false, fmt.Sprintf("$%s is %.20q", UserSpaceVariable, variable)
	}
	if line == nil {
		return false, "the kernel command line is unknown"
	}
	for _, key := range []string{userSpaceKey, "rd." + userSpaceKey} {
		if allowed, err := line.Bool(key, true); err != nil || !allowed {
			return false, key + " on the kernel command line is not yes"
		}
	}
	return true, ""
}
