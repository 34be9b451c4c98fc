package imagepolicy

import (
	"path"
	"strings"
)

// Default returns the policy of systemd 262 for images of a class that has none set. It allows every protection and
// none: signatures decide nothing under it. A usr partition is ignored in a configuration extension.
func Default(sysext bool) Policy {
	return forExtensions(sysext, Open&^Unused)
}

// ForInitrdExtra returns the policy of systemd 262 for images below /.extra of an initrd, if none is set. systemd-stub(7)
// takes them from the boot partition, where anybody may have put them: they need a signature. The path is
// that in the initrd, links resolved; for one that is not below /.extra it reports false.
//
// The directory decides, whatever the class is. Elsewhere below /.extra nothing is allowed.
func ForInitrdExtra(_ bool, at string) (Policy, bool) {
	below, ok := strings.CutPrefix(path.Clean("/"+at)+"/", "/.extra/")
	if !ok {
		return Policy{}, false
	}
	directory, _, _ := strings.Cut(below, "/")
	switch directory {
	case "sysext", "global_sysext":
		return forExtensions(true, Signed|Absent), true
	case "confext", "global_confext":
		return forExtensions(false, Signed|Absent), true
	}
	return Policy{otherwise: Absent}, true
}

func forExtensions(usr bool, flags Flags) (p Policy) {
	p.set(Root, flags)
	if usr {
		p.set(Usr, flags)
	}
	return p
}
