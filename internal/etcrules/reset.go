package etcrules

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/egrep"
)

// maxDepth is how deep a reset goes down: each level holds a descriptor. What lies deeper is kept, and named.
const maxDepth = 400

// planReset is R1: where the flag file has a regular expression, everything in the root goes that it does not stand for, with its whole path.
//
// What is kept, and why: /usr; other file systems; directories with something in them that is kept. An expression that cannot be
// read deletes nothing, neither the flag nor the machine id: the next boot says so again.
func (r *Rules) planReset() {
	flag := r.settings.ResetFlag
	if flag == "" {
		return
	}
	f, found, err := r.look(flag)
	if err != nil {
		r.note("R1: nothing is reset: %v", err)
		return
	}
	if !found || f.size == 0 {
		return
	}
	if !f.isRegular() {
		r.note("R1: nothing is reset: %s is no regular file", flag)
		return
	}
	text, err := r.readFile(flag, &f, maxList)
	if err != nil {
		r.note("R1: nothing is reset: %v", err)
		return
	}
	// The shell that this began with cuts new lines off the end.
	text = strings.TrimRight(text, "\n")
	if strings.Trim(text, " \t\r\n") == "" {
		r.note("R1: nothing is reset: %s has no expression in it", flag)
		return
	}
	expression, err := egrep.Compile(text)
	if err != nil {
		r.note("R1: NOTHING IS RESET, %s is wrong: %v", flag, err)
		return
	}
	keeps := func(path string) bool { return path == "/usr" || path == flag || expression.Match(path) }
	top, err := r.root.open(".")
	if err != nil {
		r.note("R1: nothing is reset: %v", err)
		return
	}
	defer top.close()
	w := reset{Rules: r, keeps: keeps}
	_, actions := w.directory(top, "", 0)
	r.plan.Actions = append(r.plan.Actions, actions...)
	if id, found, err := r.look(machineID); err == nil && found && !id.isDirectory() && !isCovered(actions, machineID) {
		r.add(Action{Rule: "R1", Do: Remove, Path: machineID, Why: "a reset system has a first boot", seen: id})
	}
	r.add(Action{Rule: "R1", Do: Remove, Path: flag, Why: "the reset is done", seen: f, last: true})
}

func isCovered(actions []Action, path string) bool {
	for _, a := range actions {
		if path == a.Path || strings.HasPrefix(path, a.Path+"/") {
			return true
		}
	}
	return false
}

type reset struct {
	*Rules
	keeps func(path string) bool
}

// directory returns what is to be removed in a directory, and whether that is everything: then only the whole of it is an action.
func (w *reset) directory(d *directory, path string, depth int) (all bool, actions []Action) {
	names, err := d.names()
	if err != nil {
		w.note("R1: %q is kept: %v", path, err)
		return false, nil
	}
	all = true
	for _, name := range names {
		below := path + "/" + name
		goes, action, err := w.entry(d, name, below, depth)
		if err != nil {
			w.note("R1: %q is kept: %v", below, err)
		}
		all = all && goes
		actions = append(actions, action...)
	}
	return all, actions
}

func (w *reset) entry(d *directory, name, path string, depth int) (goes bool, actions []Action, err error) {
	if path == "/usr" {
		return false, nil, nil
	}
	f, err := d.stat(name)
	if err != nil || f.mount != d.mount || f.device != d.device {
		return false, nil, err
	}
	a := Action{Rule: "R1", Do: Remove, Path: path, Why: "the reset does not keep it", seen: f}
	if !f.isDirectory() {
		if w.keeps(path) {
			return false, nil, nil
		}
		return true, []Action{a}, nil
	}
	if depth == maxDepth {
		return false, nil, fmt.Errorf("more than %d directories in one another", maxDepth)
	}
	below, err := d.open(name)
	if err != nil {
		return false, nil, err
	}
	defer below.close()
	all, actions := w.directory(below, path, depth+1)
	if !all || w.keeps(path) {
		return false, actions, nil
	}
	a.Do, a.keeps = RemoveTree, w.keeps
	return true, []Action{a}, nil
}

// removeTree removes a directory and all in it that is not kept. It asks again about every path: a running system may have made new ones.
func removeTree(d *directory, name, path string, keeps func(string) bool, depth int) error {
	below, err := d.open(name)
	if err != nil {
		return err
	}
	defer below.close()
	names, err := below.names()
	if err != nil {
		return err
	}
	var first error
	for _, name := range names {
		inside := path + "/" + name
		f, err := below.stat(name)
		switch {
		case err == unix.ENOENT:
			continue
		case err != nil:
		case f.mount != d.mount || f.device != d.device:
			err = errElsewhere
		case f.isDirectory() && depth < maxDepth:
			err = removeTree(below, name, inside, keeps, depth+1)
		case keeps != nil && keeps(inside):
		default:
			err = unix.Unlinkat(below.fd, name, 0)
		}
		if err != nil && first == nil {
			first = fmt.Errorf("%q: %w", inside, err)
		}
	}
	if first != nil || (keeps != nil && keeps(path)) {
		return first
	}
	if err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR); err != unix.ENOTEMPTY {
		return err
	}
	return nil
}
