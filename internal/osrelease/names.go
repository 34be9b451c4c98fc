package osrelease

import "strings"

// Class is the kind of an extension.
type Class string

// The two classes.
const (
	ClassSysext  Class = "sysext"  // extends /usr and /opt
	ClassConfext Class = "confext" // extends /etc
)

// levelKey is the field with the level of the interface that extensions are built for.
func (c Class) levelKey() string {
	if c == ClassConfext {
		return "CONFEXT_LEVEL"
	}
	return "SYSEXT_LEVEL"
}

// scopeKey is the field with the places an extension is made for.
func (c Class) scopeKey() string {
	if c == ClassConfext {
		return "CONFEXT_SCOPE"
	}
	return "SYSEXT_SCOPE"
}

// ReleaseFileName returns where an extension keeps its release file, relative to its own root. The
// name of the image is without ".raw" and must have been found to be a valid file name.
//
// If there is none of this name, one named for BaseName(image) will do, or one that
// says by an extended attribute that its name does not matter.
func ReleaseFileName(class Class, image string) string {
	directory := "usr/lib/extension-release.d"
	if class == ClassConfext {
		directory = "etc/extension-release.d"
	}
	return directory + "/extension-release." + image
}

// BaseName returns an image's name without suffix and version: ".sysext.raw", ".confext.raw" or
// ".raw" is cut off, then everything from the first "_" or "+".
func BaseName(image string) string {
	for _, suffix := range [...]string{".sysext.raw", ".confext.raw", ".raw"} {
		if name, found := strings.CutSuffix(image, suffix); found {
			image = name
			break
		}
	}
	if end := strings.IndexAny(image, "_+"); end >= 0 {
		image = image[:end]
	}
	return image
}

// Architecture returns systemd's name (ConditionArchitecture= of systemd.unit(5)) for one
// of Go's, and "" for those that systemd does not know.
func Architecture(goarch string) string {
	switch goarch {
	case "amd64":
		return "x86-64"
	case "386":
		return "x86"
	case "arm64", "arm", "riscv64", "s390x", "ppc64", "mips", "mips64":
		return goarch
	case "ppc64le":
		return "ppc64-le"
	case "mipsle":
		return "mips-le"
	case "mips64le":
		return "mips64-le"
	case "loong64":
		return "loongarch64"
	}
	return ""
}
