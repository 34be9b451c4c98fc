package merge

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/servicemanager"
)

// wishes are what extensions want of the service manager after a change (extension-release(5)).
type wishes struct {
	reload bool
	// restart maps units to whether they may be reloaded instead.
	restart map[string]bool
}

// collect adds what the release files of merged extensions say. It is called before a change and after it: an
// extension that goes has units to be stopped.
func (w *wishes) collect(root *rootdir.Root, class osrelease.Class, names []string) {
	for _, name := range names {
		text, err := root.ReadFile("/" + osrelease.ReleaseFileName(class, name))
		if err != nil {
			continue
		}
		w.addRelease(osrelease.Parse(text))
	}
}

// collectMerged is collect for a merge that has just been made: its release files were read before, and to find one through an
// overlay the kernel looks into all layers above it. Only where another layer may have another file of the name is it read
// again.
func (w *wishes) collectMerged(root *rootdir.Root, class osrelease.Class, m *plan.Merge, candidates []plan.Candidate) {
	unsure := map[string]bool{}
	for _, shadow := range m.Shadows {
		unsure[shadow.Path] = true
	}
	takesWrites := slices.ContainsFunc(m.Overlays, func(o plan.Overlay) bool {
		return o.TakesWrites() || slices.Contains(o.Sources, plan.FromImport)
	})
	releases := make(map[string]osrelease.Fields, len(candidates))
	for i := range candidates {
		releases[candidates[i].Name] = candidates[i].Release
	}
	for _, name := range m.Names {
		if fields := releases[name]; fields != nil && !takesWrites && !unsure["/"+osrelease.ReleaseFileName(class, name)] {
			w.addRelease(fields)
			continue
		}
		w.collect(root, class, []string{name})
	}
}

// addRelease adds what one release file says.
func (w *wishes) addRelease(fields osrelease.Fields) {
	if mode, _ := extension.ParseMode(fields["EXTENSION_RELOAD_MANAGER"]); mode == "yes" {
		w.reload = true
	}
	w.add(fields["EXTENSION_RELOAD_OR_RESTART_UNITS"], true)
	w.add(fields["EXTENSION_RESTART_UNITS"], false)
}

// add takes a list of units; a restart wins over a reload.
func (w *wishes) add(units string, mayReload bool) {
	for unit := range strings.FieldsSeq(units) {
		if w.restart == nil {
			w.restart = map[string]bool{}
		}
		before, known := w.restart[unit]
		w.restart[unit] = mayReload && (before || !known)
		w.reload = true
	}
}

// managerTimeout bounds a call that is answered at once.
const managerTimeout = 25 * time.Second

// fulfil reloads the service manager and restarts units. What fails is said and does not undo the merge, as in systemd.
func (s *session) fulfil(w wishes) {
	if !w.reload {
		return
	}
	manager, err := servicemanager.Dial(servicemanager.Socket, managerTimeout)
	if errors.Is(err, fs.ErrNotExist) {
		s.say("The service manager is not reloaded: systemd is not running.")
		return
	}
	if err != nil {
		s.say("Failed to reload the service manager: %v", err)
		return
	}
	defer manager.Close()
	if err := manager.Reload(); err != nil {
		s.say("Failed to reload the service manager: %v", err)
		return
	}
	for _, unit := range slices.Sorted(maps.Keys(w.restart)) {
		if err := restart(manager, unit, w.restart[unit]); err != nil {
			s.say("Failed to restart %s: %v", unit, err)
		}
	}
}

// restart restarts a unit, or stops it if its file is gone with the extension.
func restart(manager *servicemanager.Connection, unit string, mayReload bool) error {
	call := manager.RestartUnit
	if mayReload {
		call = manager.ReloadOrRestartUnit
	}
	err := call(unit)
	refused, ok := errors.AsType[*servicemanager.Error](err)
	if !ok || refused.Name != servicemanager.NoSuchUnit && refused.Name != servicemanager.LoadFailed {
		return err
	}
	err = manager.StopUnit(unit)
	if refused, ok := errors.AsType[*servicemanager.Error](err); ok && refused.Name == servicemanager.NoSuchUnit {
		return nil
	}
	if err != nil {
		err = fmt.Errorf("its unit file is gone, and it cannot be stopped: %w", err)
	}
	return err
}
