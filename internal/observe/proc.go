package observe

import "strings"

// listsFileSystem looks a type up in the text of /proc/filesystems: lines of
// "nodev TAB type" or "TAB type".
func listsFileSystem(text, fsType string) bool {
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && fields[len(fields)-1] == fsType {
			return true
		}
	}
	return false
}

// memoryField returns the number of a line "Key:   NUMBER kB".
func memoryField(text, key string) string {
	for _, line := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				return fields[0]
			}
		}
	}
	return ""
}
