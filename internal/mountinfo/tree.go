package mountinfo

import "strings"

// At returns the mount that a path is on: what one sees there, not what is covered. It reports false for a table
// without the root. The path is absolute, clean, and without links.
func At(mounts []Mount, path string) (Mount, bool) {
	at, found := root(mounts)
	if !found {
		return Mount{}, false
	}
	for {
		next, found := nextOn(mounts, at, path)
		if !found {
			return at, true
		}
		at = next
	}
}

// root finds the mount that no other one of the table holds.
func root(mounts []Mount) (Mount, bool) {
	known := map[int]bool{}
	for _, m := range mounts {
		known[m.ID] = true
	}
	for _, m := range mounts {
		if m.Target == "/" && (!known[m.Parent] || m.Parent == m.ID) {
			return m, true
		}
	}
	return Mount{}, false
}

// nextOn returns the first mount on another one that the way to path leads into. Mounts farther down on the same one
// are covered by it.
func nextOn(mounts []Mount, on Mount, path string) (next Mount, found bool) {
	for _, m := range mounts {
		if m.Parent != on.ID || m.ID == on.ID || !isBelow(path, m.Target) {
			continue
		}
		if !found || len(m.Target) < len(next.Target) {
			next, found = m, true
		}
	}
	return next, found
}

// isBelow reports whether path is directory or below it.
func isBelow(path, directory string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(directory, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// Below returns the mounts that can be seen below a directory, without those that lie below another one of them.
func Below(mounts []Mount, directory string) []Mount {
	on, found := At(mounts, directory)
	if !found {
		return nil
	}
	var below []Mount
	for _, m := range mounts {
		if m.Parent == on.ID && m.ID != on.ID && m.Target != directory && isBelow(m.Target, directory) {
			// Of several on one place the others are mounted on the first.
			below = append(below, m)
		}
	}
	// A mount in a directory that another one covers is not seen.
	var seen []Mount
	for _, m := range below {
		covered := false
		for _, o := range below {
			covered = covered || o.ID != m.ID && isBelow(m.Target, o.Target)
		}
		if !covered {
			seen = append(seen, m)
		}
	}
	return seen
}
