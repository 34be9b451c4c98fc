package osrelease

import (
	"fmt"
	"slices"
	"strings"
)

// Host is the tree that is to be extended.
type Host struct {
	Fields       Fields // its os-release
	Architecture string // systemd's name, see Architecture
	Initrd       bool   // it has /etc/initrd-release
}

// Decision says whether an extension is taken, and why (not) in words for people.
type Decision struct {
	Accepted bool
	Reason   string
}

func refuse(format string, arguments ...any) Decision {
	return Decision{Reason: fmt.Sprintf(format, arguments...)}
}

// anyValue in an extension's ARCHITECTURE or ID stands for all of them. It means nothing elsewhere.
const anyValue = "_any"

// Match decides by the extension's release data whether it belongs to the host; nil or empty Fields
// say that there is none. The rules and their order are those of systemd 262: scope, architecture,
// ID (the host's own or one of its ID_LIKE), level if both have one, else VERSION_ID. A host
// without ID matches nothing here, where systemd gives up altogether.
func Match(class Class, host Host, extension Fields) Decision {
	hostID := host.Fields["ID"]
	if hostID == "" {
		return refuse("the host's os-release has no ID")
	}
	if len(extension) == 0 {
		return refuse("no release file for this name, or an empty one")
	}
	if decision, ok := matchScope(class, host, extension); !ok {
		return decision
	}
	if architecture := extension["ARCHITECTURE"]; architecture != "" && architecture != anyValue && architecture != host.Architecture {
		return refuse("made for ARCHITECTURE=%s, the host is %s", quote(architecture), quote(host.Architecture))
	}
	return matchSystem(class, host, extension)
}

func matchScope(class Class, host Host, extension Fields) (Decision, bool) {
	scopes := []string{"system", "portable"}
	text, set := extension[class.scopeKey()]
	if set {
		scopes = fields(text)
	}
	wanted := "system"
	if host.Initrd {
		wanted = "initrd"
	}
	if slices.Contains(scopes, wanted) {
		return Decision{}, true
	}
	if !set {
		text = "system portable (default)"
	}
	return refuse("%s is %s, which does not include %s", class.scopeKey(), quote(text), wanted), false
}

func matchSystem(class Class, host Host, extension Fields) Decision {
	hostID, id := host.Fields["ID"], extension["ID"]
	switch {
	case id == "":
		return refuse("the release file has no ID")
	case id == anyValue:
		return Decision{true, "made for any ID"}
	case id != hostID && !slices.Contains(fields(host.Fields["ID_LIKE"]), id):
		return refuse("made for ID=%s, the host is %s", quote(id), quote(hostID))
	}

	hostVersion, hostLevel := host.Fields["VERSION_ID"], host.Fields[class.levelKey()]
	version, level := extension["VERSION_ID"], extension[class.levelKey()]
	switch {
	case hostVersion == "" && hostLevel == "":
		return Decision{true, fmt.Sprintf("ID=%s matches, the host has no version", quote(id))}
	case hostLevel != "" && level != "":
		if level != hostLevel {
			return refuse("made for %s=%s, the host has %s", class.levelKey(), quote(level), quote(hostLevel))
		}
		return Decision{true, fmt.Sprintf("ID=%s %s=%s matches", quote(id), class.levelKey(), quote(level))}
	case hostVersion == "":
		return Decision{true, fmt.Sprintf("ID=%s matches, the host has no VERSION_ID", quote(id))}
	case version == "":
		return refuse("the release file has no VERSION_ID, the host is %s", quote(hostVersion))
	case version != hostVersion:
		return refuse("made for VERSION_ID=%s, the host is %s", quote(version), quote(hostVersion))
	}
	return Decision{true, fmt.Sprintf("ID=%s VERSION_ID=%s matches", quote(id), quote(version))}
}

func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(whiteSpace, r) })
}

// quote makes a value fit for a line on a terminal: plain short words stay as they are.
func quote(value string) string {
	plain := value != "" && len(value) <= 40
	for i := 0; plain && i < len(value); i++ {
		c := value[i]
		plain = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-+~^", c) >= 0
	}
	if plain {
		return value
	}
	return fmt.Sprintf("%.40q", value)
}
