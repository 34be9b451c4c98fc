package etcrules

import (
	"golang.org/x/sys/unix"
)

// planEtc makes sure that there is an /etc to work in.
func (r *Rules) planEtc() {
	if !r.settings.IsSet() {
		return
	}
	f, found, err := r.look("/etc")
	switch {
	case err != nil:
		r.note("%v", err)
	case !found:
		r.add(Action{Rule: "R6", Do: CreateDirectory, Path: "/etc", Why: "it is missing", mode: 0o755, hasMode: true, uid: -1, gid: -1})
	case !f.isDirectory():
		r.note("/etc is no directory")
	}
}

// planCleanup is R6 and R7: what equals the shipped version is removed from the upper directory, so that the next version shows.
func (r *Rules) planCleanup() {
	if r.settings.Reference == "" {
		return
	}
	if r.settings.OptOut != "" {
		_, found, err := r.look(r.settings.OptOut)
		if err != nil {
			r.note("R7: nothing is removed: %v", err)
			return
		}
		if found {
			r.note("R6: nothing is removed that equals what is shipped, since %s is there", r.settings.OptOut)
			return
		}
	}
	_, found, err := r.look("/etc")
	if err == nil && !found {
		return
	}
	var upper *directory
	if err == nil {
		upper, err = r.root.open("etc")
	}
	if err != nil {
		r.note("R7: open /etc: %v", err)
		return
	}
	defer upper.close()
	fd, err := r.openShipped(r.settings.Reference, unix.O_RDONLY|unix.O_DIRECTORY)
	if err == unix.ENOENT {
		r.note("R7: there is no %s", r.settings.Reference)
		return
	}
	if err != nil {
		r.note("R7: open %s: %v", r.settings.Reference, err)
		return
	}
	defer unix.Close(fd)
	lower, err := openDirectory(fd, ".", inside)
	if err != nil {
		r.note("R7: open %s: %v", r.settings.Reference, err)
		return
	}
	defer lower.close()
	attributes, err := readAttributes(upper.fd)
	if err != nil {
		r.note("R7: /etc: %v", err)
		return
	}
	if why := attributes.hides(); why != "" {
		r.note("R7: nothing is removed: /etc itself is %s", why)
		return
	}
	w := walk{
		isGone: r.isGone,
		note:   func(path string, err error) { r.note("R7: %q: %v", path, err) },
		visit: func(f *finding) {
			if f.isSame() && (!f.facts.isDirectory() || f.isEmptied) {
				r.add(Action{Rule: "R7", Do: Remove, Path: f.path, Why: "as shipped", seen: f.facts})
			}
		},
	}
	w.directory(upper, lower, "/etc", false)
}
