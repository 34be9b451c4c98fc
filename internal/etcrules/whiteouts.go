package etcrules

import (
	"strings"

	"golang.org/x/sys/unix"
)

// maxList bounds the lists that an image has.
const maxList = 4 << 20

// planWhiteouts is R2: what a tmpfiles rule of the image would create again does not stay deleted.
func (r *Rules) planWhiteouts() {
	if r.settings.NoWhiteouts == "" {
		return
	}
	text, err := r.readShipped(r.settings.NoWhiteouts, maxList)
	if err == unix.ENOENT {
		r.note("R2: there is no %s", r.settings.NoWhiteouts)
		return
	}
	if err != nil {
		r.note("R2: %v", err)
		return
	}
	paths, bad := parsePaths(text)
	if bad > 0 {
		r.note("R2: %d lines of %s are no plain paths in /etc", bad, r.settings.NoWhiteouts)
	}
	planned := map[string]bool{}
	for _, path := range paths {
		f, found, err := r.look(path)
		// Behind a link, a file or a mount there is nothing of the upper directory.
		if err == nil && found && f.isWhiteout() && !planned[path] {
			planned[path] = true
			r.add(Action{Rule: "R2", Do: Remove, Path: path, Why: "the image would create it again", seen: f})
		}
	}
}

// parsePaths reads a list of paths in /etc, one a line, and counts the lines that are none.
func parsePaths(text string) (paths []string, bad int) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "":
		case isPlainPath(line) && strings.HasPrefix(line, "/etc/"):
			paths = append(paths, line)
		default:
			bad++
		}
	}
	return paths, bad
}
