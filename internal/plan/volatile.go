package plan

import (
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/osrelease"
)

// Volatile says what of the root is in memory, and forgotten at the end: systemd.volatile= of kernel-command-line(7).
type Volatile string

// The modes. In all but the first one the root's own file system is mounted read-only.
const (
	VolatileNo Volatile = ""
	// VolatileYes is a root in memory that has /usr and nothing else.
	VolatileYes Volatile = "yes"
	// VolatileState is the root as it is, with an empty /var in memory.
	VolatileState Volatile = "state"
	// VolatileOverlay is the root with all changes in memory.
	VolatileOverlay Volatile = "overlay"
)

// planVolatile reads the mode. A second stage has its own way with it.
func (b *Boot) planVolatile(words kernelcmdline.CommandLine) error {
	const key = "systemd.volatile"
	if !words.Has(key) {
		return nil
	}
	mode, given := words.Value(key)
	on, isBool := kernelcmdline.ParseBool(mode)
	switch {
	case !given, isBool && on:
		b.Volatile = VolatileYes
	case isBool:
		return nil
	case mode == string(VolatileState) || mode == string(VolatileOverlay):
		b.Volatile = Volatile(mode)
	default:
		return &Refusal{
			Reason: key + "=" + shorten(mode) + " asks for a root that forgets, in a way that preroot does not know",
			Advice: "it takes yes, state, overlay and no",
		}
	}
	b.Fallback.addOptional("the kernel command line has %s=%s", key, b.Volatile)
	return nil
}

// RootTakesWrites reports whether files can be written to the root that is shown.
func (b *Boot) RootTakesWrites() bool {
	switch b.Volatile {
	case VolatileYes, VolatileOverlay:
		return true
	}
	return !b.Root.IsReadOnly()
}

// MergesTakeWrites reports whether a directory of that root can take what is written to a merged hierarchy: the kernel refuses one that lies on
// an overlay.
func (b *Boot) MergesTakeWrites() bool { return b.RootTakesWrites() && b.Volatile != VolatileOverlay }

// PlanRefresh is PlanBootRefresh for this boot. On a root that is an overlay systemd (262) would take the merge away, since it has another mode in mind,
// and fail to merge again; so its first start does nothing there unless the settings leave it to systemd.
func (b *Boot) PlanRefresh(class osrelease.Class, version int) (skip bool, reason string) {
	mode := b.BootRefresh[class]
	if b.Volatile != VolatileOverlay || mode == BootRefreshSystemd {
		return PlanBootRefresh(mode, version)
	}
	if skip, reason = PlanBootRefresh(BootRefreshSkip, version); skip {
		reason = "systemd cannot merge with writes on a root that is an overlay"
	}
	return skip, reason
}
