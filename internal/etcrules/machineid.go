package etcrules

import "strings"

const machineID = "/etc/machine-id"

// planMachineID is R5: an id that stands for none goes, so that systemd makes one.
func (r *Rules) planMachineID() {
	if r.settings.BlankMachineID == "" {
		return
	}
	f, found, err := r.look(machineID)
	if err != nil {
		r.note("R5: %v", err)
		return
	}
	if !found || !f.isRegular() {
		return
	}
	text, err := r.readFile(machineID, &f, 64<<10)
	if err != nil {
		r.note("R5: %v", err)
		return
	}
	if strings.Contains(text, r.settings.BlankMachineID) {
		r.add(Action{Rule: "R5", Do: Remove, Path: machineID, Why: "a blank id", seen: f})
	}
}

// CreateMachineID makes an empty /etc/machine-id where there is none. It is for an /etc that takes no writes: systemd
// can put a temporary id over a file, and fails without one.
func (r *Rules) CreateMachineID() *Plan {
	r.plan = &Plan{}
	f, found, err := r.look(machineID)
	if err != nil {
		r.note("R5: %v", err)
		return r.plan
	}
	if found && !f.isWhiteout() {
		return r.plan
	}
	if found {
		r.add(Action{Rule: "R5", Do: Remove, Path: machineID, Why: "/etc takes no writes, and needs the file", seen: f})
	}
	r.add(Action{Rule: "R5", Do: CreateFile, Path: machineID, Why: "/etc takes no writes, and needs the file", mode: 0o444, hasMode: true, uid: -1, gid: -1})
	r.apply(r.plan.Actions)
	return r.plan
}
