package devmapper

import (
	"fmt"
	"strings"
)

// maxName is DM_NAME_LEN of the kernel without the NUL byte.
const maxName = nameSize - 1

// checkName refuses what the kernel, or the folder /dev/mapper, has another use for. Older
// kernels take "..", and a link of that name would be no device.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || name == "control":
		return fmt.Errorf("device name %q is not possible", name)
	case len(name) > maxName || strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("device name %q: want at most %d bytes, without / and NUL", name, maxName)
	}
	return nil
}

// MangleName returns the name under which libdevmapper would create a device: characters
// that udev does not take in names of links become \xNN, the byte in hex. A name that has such parts
// already is left as it is (dmsetup(8), --manglename auto). Programs on libdevmapper, as veritysetup
// is, find only such devices under the name that was typed. It works for UUIDs as well.
func MangleName(name string) string {
	if isMangled(name) {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if isPlain(name[i]) {
			b.WriteByte(name[i])
		} else {
			fmt.Fprintf(&b, `\x%02x`, name[i])
		}
	}
	return b.String()
}

// isMangled reports whether there are \xNN parts and nothing else that would have to be one.
func isMangled(name string) bool {
	found := false
	for i := 0; i < len(name); i++ {
		switch {
		case isPlain(name[i]):
		case len(name)-i >= 4 && name[i:i+2] == `\x` && isHex(name[i+2]) && isHex(name[i+3]):
			found = true
			i += 3
		default:
			return false
		}
	}
	return found
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("#+-.:=@_", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
