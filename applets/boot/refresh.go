package boot

import (
	"fmt"
	"slices"

	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootrefresh"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// merged is what became of a class, with the settings that were in force.
type merged struct {
	*plan.Merge
	settings extension.Settings
}

// spareRefreshes lets the first start of systemd's services do nothing where that is wanted. All that the real root will see
// has to be in place below root. Nothing that goes wrong here stops the boot: systemd merges again then.
func (b *boot) spareRefreshes(root *rootdir.Root) {
	version, versionErr := bootrefresh.ReadSystemdVersion(root)
	b.record(func() { b.report.Versions.Systemd = version })
	for _, merge := range b.merged {
		if len(merge.Overlays) == 0 {
			continue
		}
		unit := bootrefresh.ProgramName(merge.Class) + ".service"
		spare, reason := b.plan.PlanRefresh(merge.Class, version)
		if version == 0 && versionErr != nil {
			reason += " (" + versionErr.Error() + ")"
		}
		if spare {
			if err := b.spareRefresh(root, merge); err != nil {
				spare, reason = false, err.Error()
				b.warn("the first start of %s will merge again: %v", unit, err)
			}
		}
		outcome := "left to systemd: " + reason
		if spare {
			outcome = "nothing to do unless something changes: " + reason
		}
		b.record(func() {
			for i := range b.report.Merges {
				if b.report.Merges[i].Class == string(merge.Class) {
					b.report.Merges[i].BootRefresh = outcome
				}
			}
		})
		b.log.Printf(bootlog.Info, "first start of %s: %s", unit, outcome)
	}
}

func (b *boot) spareRefresh(root *rootdir.Root, merge merged) error {
	unit, err := bootrefresh.ReadUnit(root, merge.Class)
	if err != nil {
		return err
	}
	state, err := bootrefresh.ReadState(root, merge.Class, merge.settings, "")
	if err != nil {
		return err
	}
	if err := checkSeen(merge.Merge, state); err != nil {
		return err
	}
	bootID, err := bootrefresh.ReadBootID()
	if err != nil {
		return fmt.Errorf("read boot id: %w", err)
	}
	return bootrefresh.Install(root, unit, "/proc/self/exe", bootrefresh.NewStamp(merge.Class, bootID, unit.Program, merge.Names, *state))
}

// checkSeen makes sure that what can be seen when all is merged is what was merged: one extension may have brought another one.
func checkSeen(merge *plan.Merge, state *bootrefresh.State) error {
	var planned, seen []string
	for _, decision := range merge.Decisions {
		planned = append(planned, decision.Name+" "+decision.Path)
	}
	for _, image := range state.Images {
		seen = append(seen, image.Name+" "+image.Path)
	}
	slices.Sort(planned)
	slices.Sort(seen)
	if !slices.Equal(planned, seen) {
		return fmt.Errorf("after the merge there are other %ss than before", merge.Class)
	}
	for _, h := range state.Hierarchies {
		if h.Merged != slices.ContainsFunc(merge.Overlays, func(o plan.Overlay) bool { return o.Hierarchy == h.Path }) {
			return fmt.Errorf("%s does not show what was merged", h.Path)
		}
	}
	return nil
}
