package merge

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/cms"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/imagepolicy"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/trust"
)

// workspace is where images are mounted, in a namespace of this process.
const workspace = "/run/preroot/workspace"

// opened is the root that is worked on, and what can be said of it before any image is opened.
type opened struct {
	*session
	root        *rootdir.Root
	hierarchies []string
	settings    extension.Settings
	own         plan.Settings
}

func (s *session) open() (*opened, error) {
	root := s.root
	if root == "" {
		root = "/"
	}
	o := &opened{session: s, hierarchies: extension.Hierarchies(s.class)}
	var err error
	if o.root, err = rootdir.Open(root); err != nil {
		return nil, failf("Failed to open root directory '%s': %s", root, cause(err))
	}
	if err := o.readSettings(); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *opened) close() { o.root.Close() }

// readSettings reads the configuration files, over which the environment and then the command line prevail.
func (o *opened) readSettings() error {
	if text, isSet := o.lookupEnv(hierarchiesVariable(o.class)); isSet {
		o.hierarchies = strings.Split(text, ":")
		for _, hierarchy := range o.hierarchies {
			if !path.IsAbs(hierarchy) || path.Clean(hierarchy) != hierarchy || hierarchy == "/" {
				return failf("Failed to parse environment variable %s: '%s' is not an absolute path in its plain form",
					hierarchiesVariable(o.class), hierarchy)
			}
		}
	}
	var err error
	if o.settings, err = extension.ReadSettings(o.root, o.class, extension.AllSettings); err != nil {
		o.say("Failed to parse %s config file, ignoring: %v", o.class, err)
		o.settings = extension.Settings{Mutable: "no"}
	}
	for _, warning := range o.settings.Warnings {
		o.say("%s", warning)
	}
	if text := o.getenv(o.variable("MUTABLE_MODE")); text != "" {
		if mode, known := extension.ParseMode(text); known {
			o.settings.Mutable = mode
		} else {
			o.say("Failed to parse %s environment variable value '%s'. Ignoring.", o.variable("MUTABLE_MODE"), text)
		}
	}
	if o.mutable != "" {
		o.settings.Mutable = o.mutable
	}
	if o.policy == nil && o.settings.ImagePolicy != "" {
		policy, warnings := imagepolicy.ParseGraceful(o.settings.ImagePolicy)
		for _, warning := range warnings {
			o.say("ImagePolicy=: %s, ignoring", warning)
		}
		o.policy = &policy
	}
	text, err := o.root.ReadFile("/usr/lib/preroot.conf")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		o.own, err = plan.ParseSettings(text)
	}
	return err
}

// variable is the name of an environment variable of the class.
func (o *opened) variable(name string) string {
	return "SYSTEMD_" + strings.ToUpper(string(o.class)) + "_" + name
}

// isDisabled reports whether the kernel command line switches the service off that this was started by.
func (o *opened) isDisabled() bool {
	if o.getenv("SYSTEMD_EXEC_PID") != fmt.Sprint(os.Getpid()) {
		return false
	}
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return false
	}
	option := "systemd." + string(o.class)
	if o.session.root == "" && o.runsInInitrd() {
		option = "rd." + option
	}
	if enabled, err := kernelcmdline.Parse(string(text)).Bool(option, true); err != nil || enabled {
		return false
	}
	o.say("Disabled by the kernel command line option '%s=', skipping execution.", option)
	return true
}

// observed is all that a plan depends on, with the workspace in which the images are open.
type observed struct {
	*opened
	workspace *apply.Workspace
	input     plan.MergeInput
	// merged is what is merged now.
	merged []*extension.Merged
}

// look is observe for a call that changes nothing. It waits for one that does, and keeps others from it: images are opened here, too.
func (o *opened) look() (*observed, func(), error) {
	unlock, err := apply.LockMerges()
	if err != nil {
		return nil, nil, err
	}
	v, err := o.observe()
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return v, func() { v.close(); unlock() }, nil
}

// observe opens every image, under the lock of merges. What is merged now is uncovered in the workspace, and nowhere else.
func (o *opened) observe() (*observed, error) {
	initrd := extension.IsInitrd(o.root)
	search := o.search(initrd)
	// Identities are those of what can be seen, with all that is merged in place.
	images, err := extension.Discover(o.root, search)
	if err != nil {
		return nil, err
	}
	v := &observed{opened: o}
	for _, hierarchy := range o.hierarchies {
		merged, err := extension.ReadMerged(o.root, o.class, hierarchy)
		if err != nil {
			return nil, err
		}
		if merged != nil {
			v.merged = append(v.merged, merged)
		}
	}
	fields, err := extension.HostRelease(o.root, o.getenv("SYSTEMD_OS_RELEASE"))
	if err != nil {
		return nil, err
	}
	v.input = plan.MergeInput{
		Class: o.class, Settings: o.settings, RootPath: o.session.root, Force: o.force, Strict: o.strict, NoExec: o.noExec,
		Required: o.own.Required[o.class], Flags: o.own.Flags, MountOptions: o.getenv(o.variable("OVERLAYFS_MOUNT_OPTIONS")),
		Host: osrelease.Host{Fields: fields, Initrd: initrd, Architecture: osrelease.Architecture(runtime.GOARCH)},
	}
	v.workspace, err = apply.NewWorkspace(workspace, apply.Environment{
		Root: o.root, OpenDM: devmapper.Open, Certificates: o.certificates,
		// The kernel asks modprobe for file system types and devices itself.
		LoadModule: func(string) error { return nil },
	})
	if err != nil {
		return nil, err
	}
	v.input.Candidates = v.workspace.Examine(images, o.hierarchies)
	if v.input.Hierarchies, err = v.workspace.Uncover(o.class, o.hierarchies); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// search is what the options and the environment say about images.
func (o *opened) search(initrd bool) extension.Search {
	isOff := func(name string) bool {
		mode, _ := extension.ParseMode(o.getenv(name))
		return mode == "no"
	}
	s := extension.Search{
		Class: o.class, Initrd: initrd, Policy: o.policy, StrictExtra: o.runsInInitrd() && o.session.root == "",
		NoSidecars: isOff("SYSTEMD_DISSECT_VERITY_SIDECAR"), NoSignatures: isOff("SYSTEMD_DISSECT_VERITY_SIGNATURE"),
		NoEmbedded: isOff("SYSTEMD_DISSECT_VERITY_EMBEDDED"), NoGuess: isOff("SYSTEMD_DISSECT_VERITY_GUESS"),
		RootType: o.getenv("SYSTEMD_DISSECT_FSTYPE_ROOT"), UsrType: o.getenv("SYSTEMD_DISSECT_FSTYPE_USR"),
	}
	if text := o.getenv("SYSTEMD_DISSECT_FILE_SYSTEMS"); text != "" {
		s.FileSystems = strings.Split(text, ":")
	}
	return s
}

// runsInInitrd reports whether this system is an initrd, which the environment may say as well. It decides about policies and about words of the kernel's command
// line, not about the search path.
func (o *opened) runsInInitrd() bool {
	switch mode, _ := extension.ParseMode(o.getenv("SYSTEMD_IN_INITRD")); mode {
	case "yes":
		return true
	case "no":
		return false
	}
	return extension.IsInitrd(o.root)
}

// close ends the workspace; the root is closed by who opened it.
func (v *observed) close() { _ = v.workspace.Close() }

// certificates are those of the root, which are systemd's.
func (o *opened) certificates() ([]*cms.Certificate, error) {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	line := kernelcmdline.Parse(string(text))
	if allowed, reason := trust.UserSpaceAllowed(&line, o.getenv(trust.UserSpaceVariable)); !allowed {
		return nil, errors.New("switched off: " + reason)
	}
	found, notes := trust.ReadDirectories(o.root, trust.Directories)
	for _, note := range notes {
		o.say("%s", note)
	}
	certificates := make([]*cms.Certificate, len(found))
	for i, certificate := range found {
		certificates[i] = certificate.Certificate
	}
	return certificates, nil
}

// openBare is observe without opening any image.
func (o *opened) openBare() (*observed, error) {
	v := &observed{opened: o}
	for _, hierarchy := range o.hierarchies {
		merged, err := extension.ReadMerged(o.root, o.class, hierarchy)
		if err != nil {
			return nil, err
		}
		if merged != nil {
			v.merged = append(v.merged, merged)
		}
	}
	v.workspace = apply.NewBareWorkspace(apply.Environment{Root: o.root})
	return v, nil
}
