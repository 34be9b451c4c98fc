package boot

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// workspace is where images are mounted during the merge.
const workspace = newRoot + "/run/preroot/workspace"

// mergeExtensions merges sysexts, then confexts. A confext may decide about
// sysexts, so what /etc will be is shown for a moment while those are judged;
// and a confext on /usr gets its identity from the /usr that the real root will
// see, so it is looked for again once the sysexts are merged.
func (b *boot) mergeExtensions() (err error) {
	root, err := rootdir.Open(newRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	w, err := apply.NewWorkspace(workspace, root, b.dm, b.load)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	m := merger{boot: b, root: root, workspace: w}

	endPreview, err := m.previewEtc()
	if err != nil {
		return err
	}
	host, err := extension.HostRelease(root)
	if err != nil {
		return errors.Join(err, endPreview())
	}
	m.host = osrelease.Host{Fields: host, Architecture: osrelease.Architecture(runtime.GOARCH)}
	sysexts, err := m.plan(osrelease.ClassSysext)
	if err := errors.Join(err, endPreview()); err != nil {
		return err
	}
	if err := m.apply(sysexts); err != nil {
		return err
	}
	confexts, err := m.plan(osrelease.ClassConfext)
	if err != nil {
		return err
	}
	return m.apply(confexts)
}

// merger carries what the rounds of a merge share.
type merger struct {
	*boot
	root      *rootdir.Root
	workspace *apply.Workspace
	host      osrelease.Host
}

// previewEtc plans the confexts on what is known now and shows the result.
func (m *merger) previewEtc() (end func() error, err error) {
	if m.boot.plan.Skip[osrelease.ClassConfext] {
		return func() error { return nil }, nil
	}
	fields, err := extension.HostRelease(m.root)
	if err != nil {
		return nil, err
	}
	m.host = osrelease.Host{Fields: fields, Architecture: osrelease.Architecture(runtime.GOARCH)}
	input, err := m.observe(osrelease.ClassConfext)
	if err != nil {
		return nil, err
	}
	// What is required is checked in the final plan.
	input.Required = nil
	preview, err := plan.PlanMerge(input)
	if err != nil {
		return nil, err
	}
	for _, overlay := range preview.Overlays {
		return m.workspace.Preview(overlay, osrelease.ClassConfext)
	}
	return func() error { return nil }, nil
}

// observe collects all that the plan for a class depends on.
func (m *merger) observe(class osrelease.Class) (plan.MergeInput, error) {
	input := plan.MergeInput{Class: class, Host: m.host, RootPath: newRoot, Required: m.boot.plan.Required[class]}
	var err error
	if input.Settings, err = extension.ReadSettings(m.root, class); err != nil {
		return input, err
	}
	for _, path := range extension.Hierarchies(class) {
		hierarchy, err := extension.ReadHierarchy(m.root, path)
		if err != nil {
			return input, fmt.Errorf("merge %ss into %s: %w", class, path, err)
		}
		input.Hierarchies = append(input.Hierarchies, hierarchy)
	}
	images, err := extension.Discover(m.root, class)
	if err != nil {
		return input, err
	}
	for _, image := range images {
		input.Candidates = append(input.Candidates, m.workspace.Examine(image, extension.Hierarchies(class)))
	}
	return input, nil
}

// plan decides about a class and notes the decisions.
func (m *merger) plan(class osrelease.Class) (*plan.Merge, error) {
	if m.boot.plan.Skip[class] {
		m.warn("%ss are not merged: systemd.%s=0 on the kernel command line", class, class)
		return &plan.Merge{Class: class}, nil
	}
	input, err := m.observe(class)
	if err != nil {
		return nil, err
	}
	for _, warning := range input.Settings.Warnings {
		m.warn("%s", warning)
	}
	merge, err := plan.PlanMerge(input)
	if err != nil {
		return nil, err
	}
	record := bootreport.Merge{Class: string(class), Mutable: input.Settings.Mutable, Decisions: []bootreport.Decision{}, Hierarchies: []string{}}
	for _, d := range merge.Decisions {
		if !d.Accepted {
			m.warn("%s %q is left out: %s (%s)", class, d.Name, d.Reason, d.Path)
		}
		record.Decisions = append(record.Decisions, bootreport.Decision{
			Name: d.Name, Path: d.Path, Accepted: d.Accepted, Reason: d.Reason,
			RootHash: d.RootHash, Protection: d.Protection, Signature: d.Signature,
		})
	}
	for _, overlay := range merge.Overlays {
		record.Hierarchies = append(record.Hierarchies, overlay.Hierarchy)
	}
	m.report.Merges = append(m.report.Merges, record)
	return merge, nil
}

func (m *merger) apply(merge *plan.Merge) error {
	if err := m.workspace.Merge(merge); err != nil {
		return err
	}
	for _, overlay := range merge.Overlays {
		id, err := extension.MountID(overlay.Target)
		if err != nil {
			return err
		}
		m.report.MountIDs[overlay.Hierarchy] = id
		m.log.Printf(bootlog.Info, "merged %ss into %s: %v", merge.Class, overlay.Hierarchy, merge.Names)
	}
	return nil
}
