//go:build guest && amd64

package merge

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// failCall lets the kernel call at which a traced thread has stopped fail with ENOMEM, without being made.
func failCall(pid int) error {
	var registers unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &registers); err != nil {
		return err
	}
	errno := unix.ENOMEM
	registers.Orig_rax, registers.Rax = ^uint64(0), uint64(-int64(errno))
	return unix.PtraceSetRegs(pid, &registers)
}

// Each changing kernel call of a merge and of a refresh fails in turn. Either it is not needed, and all is new, or the call fails with words and
// nothing has changed: in no hierarchy of two. Only if old overlays cannot be detached there is no way back; the next refresh
// goes on from there.
func TestFailsAnywhere(t *testing.T) {
	w := newWorld(t, "/srv/etc", "/srv/opt")
	for _, mode := range []string{"yes"} {
		w.mode = "--mutable=" + mode
		for _, c := range []struct{ call, before string }{{"merge", bare}, {"refresh", withOne}} {
			failed, went := map[string]bool{}, map[string]bool{}
			limit := 1
			for ; ; limit = nextCall(limit) {
				w.ours("unmerge")
				w.check(os.RemoveAll(confexts))
				w.check(os.MkdirAll(confexts, 0o755))
				w.add("one")
				if c.before == withOne {
					w.ours("merge", w.mode)
				}
				w.add("two")
				run := runTraced(t, limit, c.call+" "+w.mode, failCall)
				if run.stopped == "" {
					break
				}
				at := fmt.Sprintf("%s, mode %s, call %d, %s, fails", c.call, mode, limit, run.stopped)
				want := c.before
				if run.code == 0 {
					want, went[run.stopped] = withTwo, true
					for _, left := range []struct{ name, without string }{{"one", "two missing two"}, {"two", "one one missing"}} {
						if strings.Contains(run.output, "Ignoring extension '"+left.name+"': ") {
							want = left.without
						}
					}
				} else {
					failed[run.stopped] = true
					if !strings.Contains(run.output, "cannot allocate memory") {
						t.Errorf("%s: %q", at, run.output)
					}
				}
				var states []string
				for _, hierarchy := range w.hierarchies() {
					states = append(states, w.state(hierarchy))
				}
				if !slices.Equal(states, []string{want, want}) && run.stopped != "umount2" {
					t.Errorf("%s, with %d: %q, want %q\n%s", at, run.code, states, want, run.output)
				}
				w.ours("refresh", w.mode)
				for _, hierarchy := range w.hierarchies() {
					if got := w.state(hierarchy); got != withTwo || len(mountsAt(t, hierarchy)) != 1 {
						t.Errorf("%s: after the next refresh %s shows %q, %d mounts", at, hierarchy, got, len(mountsAt(t, hierarchy)))
					}
				}
			}
			if limit < 20 || len(failed) < 3 || !testing.Short() && (!failed["move_mount"] || !failed["fsconfig"]) {
				t.Errorf("%s made %d calls; failed: %v, not needed: %v", c.call, limit-1, failed, went)
			}
			t.Logf("%s, mode %s: %d calls; failed: %v, not needed: %v", c.call, mode, limit-1, failed, went)
		}
	}
}
