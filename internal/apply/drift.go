package apply

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// LookBelow opens the writable directory of a planned overlay, and what the extensions below it give together, and calls a function with both
// descriptors. Nobody outside of the workspace sees any of it, and nothing is written.
func (w *Workspace) LookBelow(o plan.Overlay, look func(upper, lower int) error) error {
	if err := w.LoadModule("overlay"); err != nil {
		return err
	}
	return w.inside(func() error {
		upper, err := os.OpenFile(o.Upper, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOATIME, 0)
		if err != nil {
			return err
		}
		defer upper.Close()
		// The kernel wants two layers at least.
		nothing, at := w.newPath("nothing"), w.newPath("lower")
		for _, directory := range []string{nothing, at} {
			if err := os.Mkdir(directory, 0o755); err != nil {
				return err
			}
		}
		mount, err := mountapi.New("overlay", "preroot", layerOptions(append(append([]string{}, o.Layers...), nothing)), mountapi.ReadOnly|mountapi.NoDev)
		if err != nil {
			return fmt.Errorf("show the default %s: %w", o.Hierarchy, err)
		}
		if err := mount.MoveTo(at); err != nil {
			return err
		}
		defer func() { _ = mountapi.Detach(at) }()
		lower, err := os.OpenFile(at, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		defer lower.Close()
		return look(int(upper.Fd()), int(lower.Fd()))
	})
}
