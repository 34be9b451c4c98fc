// Package guestplan is what the host tells the init of a test guest, and the
// lines by which that init marks its output on the serial console.
package guestplan

// Folder holds everything of the harness in the guest, File the plan as JSON.
const (
	Folder = "/guest"
	File   = Folder + "/plan.json"
)

// The marks, each at the start of a line of its own:
//
//	BEGIN path             output of the package's test program follows
//	END path status        it ended: exit status (0 to 255), or 128 + signal
//	PROBLEM text           the guest could not do what the plan says
//	DONE                   all packages ran; the guest powers off
const (
	MarkBegin   = "preroot-guest: BEGIN "
	MarkEnd     = "preroot-guest: END "
	MarkProblem = "preroot-guest: PROBLEM "
	MarkDone    = "preroot-guest: DONE"
)

// Plan is what the guest does, in order.
type Plan struct {
	Packages []Package
}

// Package is one test program. Its Modules are loaded before it starts, by
// name and with what they depend on.
type Package struct {
	Path, Program, Folder string
	Modules, Arguments    []string
}
