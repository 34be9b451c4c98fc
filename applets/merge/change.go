package merge

import (
	"errors"
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/plan"
)

// change is a call that changes what is merged.
type change struct {
	*opened
}

func (s *session) change(run func(*change) error) error {
	if err := checkPrivileges(); err != nil {
		return err
	}
	o, err := s.open()
	if err != nil {
		return err
	}
	defer o.close()
	if o.isDisabled() {
		return nil
	}
	unlock, err := apply.LockMerges()
	if err != nil {
		return err
	}
	defer unlock()
	return run(&change{o})
}

func (c *change) merge() error {
	v, m, err := c.plan()
	if err != nil {
		return asMergeFailure(err)
	}
	defer v.close()
	if len(v.merged) > 0 {
		return failf("Hierarchy '%s' is already merged.", v.merged[0].Path)
	}
	if len(m.Overlays) == 0 {
		c.sayNothing(m)
		return nil
	}
	return c.apply(v, m)
}

func (c *change) refresh() error {
	v, m, err := c.plan()
	if err != nil {
		return asMergeFailure(err)
	}
	defer v.close()
	if len(m.Overlays) == 0 {
		c.sayNothing(m)
		return c.unmergeAll(v, v.merged)
	}
	if !c.alwaysRefresh {
		difference, err := v.findChange(m)
		if err != nil {
			return err
		}
		if difference == "" {
			c.say("Skipping extension refresh because no change was found, use --always-refresh=yes to always do a refresh.")
			return nil
		}
	}
	return c.apply(v, m)
}

// findChange says why a refresh is not skipped, "" if it is.
func (v *observed) findChange(m *plan.Merge) (string, error) {
	difference, err := plan.FindChange(m, v.merged)
	if difference != "" || err != nil {
		return difference, err
	}
	for _, merged := range v.merged {
		count, err := v.workspace.CountOverlays(merged, string(v.class))
		if err != nil {
			return "", err
		}
		if count > 1 {
			return "a refresh of " + merged.Path + " was interrupted", nil
		}
	}
	return "", nil
}

// maxNotes bounds what is said about hidden files.
const maxNotes = 10

// plan opens the images and decides. The caller closes what is observed.
func (c *change) plan() (*observed, *plan.Merge, error) {
	v, err := c.observe()
	if err != nil {
		return nil, nil, err
	}
	m, err := plan.PlanMerge(v.input)
	if err != nil {
		v.close()
		return nil, nil, err
	}
	for _, d := range m.Decisions {
		if !d.Accepted {
			c.say("Ignoring extension '%s': %s", d.Name, d.Reason)
		}
	}
	for i, shadow := range m.Shadows {
		if i == maxNotes {
			c.say("Note: %d more files are hidden, plan lists them", len(m.Shadows)-i)
			break
		}
		c.say("Note: %s", shadow)
	}
	return v, m, nil
}

func asMergeFailure(err error) error {
	if strict, ok := errors.AsType[*plan.StrictError](err); ok {
		// Here systemd has not come to the hierarchies yet.
		return failf("Failed to read metadata for image %s: %s", strict.Name, strict.Reason)
	}
	return errors.Join(err, errMergeFailed)
}

func (c *change) sayNothing(m *plan.Merge) {
	if ignored := m.Ignored(); ignored > 0 {
		c.say("No suitable extensions found (%d ignored due to incompatible image(s)).", ignored)
		return
	}
	c.say("No extensions found.")
}

func (c *change) apply(v *observed, m *plan.Merge) error {
	if len(m.Files) == 0 {
		c.say("No extensions found, proceeding in mutable mode.")
	} else {
		c.say("Using extensions '%s'.", strings.Join(m.Files, "', '"))
	}
	wanted := c.wishesOf(v)
	if err := v.workspace.Replace(m, v.merged); err != nil {
		return asMergeFailure(err)
	}
	for _, merged := range v.merged {
		c.say("Unmerged '%s'.", c.opened.root.Host(merged.Resolved))
	}
	for _, o := range m.Overlays {
		c.say("Merged extensions into '%s'.", o.Target)
	}
	if !c.noReload {
		wanted.collectMerged(c.opened.root, c.class, m, v.input.Candidates)
		c.fulfil(wanted)
	}
	return nil
}

// wishesOf are those of what is merged now.
func (c *change) wishesOf(v *observed) (w wishes) {
	for _, merged := range v.merged {
		w.collect(c.opened.root, c.class, merged.Names)
	}
	return w
}

func (c *change) unmerge() error {
	v, err := c.openBare()
	if err != nil {
		return err
	}
	defer v.close()
	return c.unmergeAll(v, v.merged)
}

func (c *change) unmergeAll(v *observed, merged []*extension.Merged) error {
	wanted := c.wishesOf(v)
	var errs []error
	for _, one := range merged {
		// As long as there is one: a refresh that was interrupted leaves two.
		for one != nil {
			if err := v.workspace.Unmerge(one, string(c.class)); err != nil {
				errs = append(errs, err)
				break
			}
			c.say("Unmerged '%s'.", c.opened.root.Host(one.Resolved))
			var err error
			if one, err = extension.ReadMerged(c.opened.root, c.class, one.Path); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if !c.noReload {
		c.fulfil(wanted)
	}
	return errors.Join(errs...)
}
