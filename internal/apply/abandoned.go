package apply

import (
	"strings"

	"github.com/preroot/preroot/internal/devmapper"
)

// removeAbandoned removes the devices of images that nobody uses. There are such only after a merge that was killed between
// the opening of an image and its mount: all others go with their last user by themselves. The lock of merges has to be held.
//
// What cannot be removed is in nobody's way: it has another name than the next device.
func removeAbandoned(dm *devmapper.Control) {
	devices, err := dm.List()
	if err != nil {
		return
	}
	for _, listed := range devices {
		if !isImageDevice(listed.Name) {
			continue
		}
		device, err := dm.Find(listed.Name)
		// The kernel refuses to remove what somebody uses; a deferred removal is refused as well, and stays deferred.
		if err != nil || device.OpenCount > 0 || dm.Remove(listed.Name) != nil {
			continue
		}
		_ = withdrawDevice(listed.Name, device, false)
	}
}

// isImageDevice knows the names that plan.PlanImageVerity gives, loopN-ROOTHASH-verity. systemd's have a short number in the place
// of the root hash, or nothing before it.
func isImageDevice(name string) bool {
	loop, rest, _ := strings.Cut(name, "-")
	number, isLoop := strings.CutPrefix(loop, "loop")
	hash, isVerity := strings.CutSuffix(rest, "-verity")
	return isLoop && isVerity && number != "" && strings.Trim(number, "0123456789") == "" && len(hash) >= 32 && strings.Trim(hash, "0123456789abcdef") == ""
}
