package boot

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/cms"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/imagepolicy"
	"github.com/preroot/preroot/internal/observe"
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
	if b.plan.Skip[osrelease.ClassSysext] && b.plan.Skip[osrelease.ClassConfext] {
		b.warnSkipped(osrelease.ClassSysext)
		b.warnSkipped(osrelease.ClassConfext)
		return nil
	}
	root, err := rootdir.Open(newRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	m := merger{boot: b, root: root, settings: map[osrelease.Class]extension.Settings{}, inputs: map[osrelease.Class]plan.MergeInput{}}
	for _, class := range []osrelease.Class{osrelease.ClassSysext, osrelease.ClassConfext} {
		if m.settings[class], err = extension.ReadSettings(root, class, b.plan.SettingsDirectories()); err != nil {
			return err
		}
	}
	// Read before anything covers the verified /usr.
	certificates, noCertificates := b.readCertificates(root)
	m.workspace, err = apply.NewWorkspace(workspace, apply.Environment{
		Root: root, OpenDM: b.openMapperForImages, LoadModule: b.load,
		Certificates: func() ([]*cms.Certificate, error) { return certificates, noCertificates },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.workspace.Close()) }()

	endPreview, err := m.previewEtc()
	if err == nil {
		endPreview, err = m.selectSysexts(endPreview)
	}
	if err != nil {
		return err
	}
	sysexts, err := m.planFirst()
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
	m.ensureMachineID(confexts)
	if err := m.apply(confexts); err != nil {
		return err
	}
	return m.identifyAgain(sysexts, confexts)
}

// openMapperForImages makes sure that dm-verity is there, which nobody needed before where root and /usr are without.
func (b *boot) openMapperForImages() (*devmapper.Control, error) {
	if err := b.load("dm_verity"); err != nil {
		return nil, err
	}
	return devmapper.Open()
}

// readCertificates returns those of the image and of a verified /usr below root, or why none counts.
func (b *boot) readCertificates(root *rootdir.Root) ([]*cms.Certificate, error) {
	image, err := rootdir.Open("/")
	if err != nil {
		return nil, err
	}
	defer image.Close()
	return b.certificatesBelow(image, root)
}

// merger carries what the rounds of a merge share.
type merger struct {
	*boot
	root      *rootdir.Root
	workspace *apply.Workspace
	host      osrelease.Host
	// settings were read before anything covered the verified /usr.
	settings map[osrelease.Class]extension.Settings
	// inputs are those of the latest plan of each class.
	inputs map[osrelease.Class]plan.MergeInput
	// preview is the input of the plan that /etc was shown by while sysexts were planned; nil if nothing was shown.
	preview *plan.MergeInput
}

// readHost reads the os-release that is to be seen now.
func (m *merger) readHost() error {
	fields, err := extension.HostRelease(m.root, "")
	m.host = osrelease.Host{Fields: fields, Initrd: extension.IsInitrd(m.root), Architecture: osrelease.Architecture(runtime.GOARCH)}
	return err
}

// planFirst plans the sysexts for an /etc that is there or shown. Who masks the service wants none, whenever they would be merged; what
// the image requires is merged all the same.
func (m *merger) planFirst() (*plan.Merge, error) {
	if err := m.readHost(); err != nil {
		return nil, err
	}
	const unit = "systemd-sysext.service"
	if required := m.boot.plan.Required[osrelease.ClassSysext]; len(required) == 0 && extension.IsMasked(m.root, unit) {
		m.warn("sysexts are not merged: %s is masked", unit)
		return &plan.Merge{Class: osrelease.ClassSysext}, nil
	}
	return m.plan(osrelease.ClassSysext)
}

// previewEtc plans the confexts on what is known now and shows the result.
func (m *merger) previewEtc() (end func() error, err error) {
	nothing := func() error { return nil }
	if m.boot.plan.Skip[osrelease.ClassConfext] {
		return nothing, nil
	}
	if err := m.readHost(); err != nil {
		return nil, err
	}
	input, _ := m.observe(osrelease.ClassConfext)
	// What is required is checked in the final plan.
	input.Required = nil
	preview, err := plan.PlanMerge(input)
	if err != nil {
		return nil, err
	}
	for _, overlay := range preview.Overlays {
		m.preview = &input
		return m.workspace.Preview(overlay, osrelease.ClassConfext)
	}
	return nothing, nil
}

// observe collects all that the plan for a class depends on. The error tells
// what could not be looked at; what was seen is returned beside it.
func (m *merger) observe(class osrelease.Class) (plan.MergeInput, error) {
	input := plan.MergeInput{
		Class: class, Settings: m.settings[class], Host: m.host,
		RootPath: newRoot, Required: m.boot.plan.Required[class], WithoutWrites: !m.boot.plan.MergesTakeWrites(),
		Flags: m.boot.plan.Flags, KeepTimes: class == osrelease.ClassSysext,
	}
	for _, path := range extension.Hierarchies(class) {
		h := extension.ReadHierarchy(m.root, path)
		if !h.Exists && h.Problem == "" && observe.IsReadOnly(newRoot) {
			// systemd merges the others, and fails then.
			m.warn("%s is left out: it does not exist, and cannot be made on a read-only root", path)
			continue
		}
		input.Hierarchies = append(input.Hierarchies, h)
	}
	search := extension.Search{Class: class, Initrd: m.host.Initrd}
	if text := input.Settings.ImagePolicy; text != "" {
		policy, warnings := imagepolicy.ParseGraceful(text)
		for _, warning := range warnings {
			m.warn("ImagePolicy= of %ss: %s", class, warning)
		}
		search.Policy = &policy
	}
	images, err := extension.Discover(m.root, search)
	input.Candidates = m.workspace.Examine(images, extension.Hierarchies(class))
	return input, err
}

// plan decides about a class and notes the decisions.
func (m *merger) plan(class osrelease.Class) (*plan.Merge, error) {
	if m.boot.plan.Skip[class] {
		m.warnSkipped(class)
		return &plan.Merge{Class: class}, nil
	}
	input, err := m.observe(class)
	if err != nil {
		m.warn("%v", err)
	}
	m.warnSettings(class)
	m.inputs[class] = input
	merge, err := plan.PlanMerge(input)
	if err != nil {
		return nil, err
	}
	m.warnDangling(input)
	record := bootreport.Merge{Class: string(class), Mutable: input.Settings.Mutable, Decisions: []bootreport.Decision{}, Hierarchies: []string{}}
	for _, d := range merge.Decisions {
		if !d.Accepted {
			m.warn("%s %q is left out: %s (%s)", class, d.Name, d.Reason, d.Path)
		}
		record.Decisions = append(record.Decisions, bootreport.Decision{
			Name: d.Name, Path: d.Path, Accepted: d.Accepted, Reason: d.Reason,
			RootHash: d.RootHash, Protection: d.Protection, Signature: string(d.Signature), SignatureNote: d.SignatureNote,
		})
	}
	for _, shadow := range merge.Shadows {
		record.Shadows = append(record.Shadows, shadow.String())
	}
	if count := len(merge.Shadows); count > 0 {
		m.warn("%d files of %ss are hidden by others of their name, such as %s", count, class, merge.Shadows[0])
	}
	for _, overlay := range merge.Overlays {
		record.Hierarchies = append(record.Hierarchies, overlay.Hierarchy)
	}
	m.record(func() { m.report.Merges = append(m.report.Merges, record) })
	return merge, nil
}

// warnDangling tells about a link for writes that leads to nothing: Mutable=auto takes it for none.
func (m *merger) warnDangling(input plan.MergeInput) {
	for _, h := range input.Hierarchies {
		if input.Settings.Mutable != "auto" || h.Mutable != nil {
			continue
		}
		at := extension.MutableBase + "/" + extension.MutableName(h.Path)
		if link, err := m.root.Open(at, unix.O_PATH|unix.O_NOFOLLOW); err == nil {
			link.Close()
			m.warn("%s leads to nothing: %s takes no writes", at, h.Path)
		}
	}
}

func (b *boot) warnSkipped(class osrelease.Class) {
	b.warn("%ss are not merged: systemd.%s=0 on the kernel command line", class, class)
}

// warnSettings tells about files that do not count, as they are seen now: a
// sysext or confext may bring some, and the real root will read them.
func (m *merger) warnSettings(class osrelease.Class) {
	seen, err := extension.ReadSettings(m.root, class, m.boot.plan.SettingsDirectories())
	if err != nil {
		m.warn("%v", err)
		return
	}
	for _, warning := range seen.Warnings {
		m.warn("%s", warning)
	}
	if counts := m.settings[class]; seen.Mutable != counts.Mutable || seen.ImagePolicy != counts.ImagePolicy {
		m.warn("an extension changes %s.conf: the real root will merge again", class)
	}
}

func (m *merger) apply(merge *plan.Merge) error {
	if err := m.keepMountsBelow(merge); err != nil {
		return err
	}
	if err := m.workspace.Merge(merge); err != nil {
		return err
	}
	m.merged = append(m.merged, merged{merge, m.settings[merge.Class]})
	for _, overlay := range merge.Overlays {
		id, err := extension.MountID(overlay.Target)
		if err != nil {
			return err
		}
		if overlay.TakesWrites() && observe.IsReadOnly(overlay.Target) {
			// The kernel does so by itself, for example when the disk is full.
			m.warn("%s takes no writes: the kernel could not use %s", overlay.Hierarchy, overlay.Work)
		}
		m.record(func() { m.report.MountIDs[overlay.Hierarchy] = id })
		m.log.Printf(bootlog.Info, "merged %ss into %s: %v", merge.Class, overlay.Hierarchy, merge.Names)
	}
	return nil
}
