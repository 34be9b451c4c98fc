package plan

import (
	"errors"
	"fmt"
)

// BootRefresh says what the first start of systemd-confext.service or systemd-sysext.service does. The zero value is
// BootRefreshAuto.
type BootRefresh string

// The values of BootRefresh= in preroot.conf.
const (
	// BootRefreshAuto lets it do nothing, if nothing has changed, where systemd cannot tell by itself.
	BootRefreshAuto BootRefresh = "auto"
	// BootRefreshSkip lets it do nothing, if nothing has changed, with every systemd.
	BootRefreshSkip BootRefresh = "skip"
	// BootRefreshSystemd leaves it alone.
	BootRefreshSystemd BootRefresh = "systemd"
)

func parseBootRefresh(text string) (BootRefresh, error) {
	switch mode := BootRefresh(text); mode {
	case BootRefreshAuto, BootRefreshSkip, BootRefreshSystemd:
		return mode, nil
	}
	return "", errors.New("want auto, skip or systemd")
}

const (
	// skipsItself is the first systemd that compares what is merged with what it would merge.
	skipsItself = 260
	// hasSearchPath is the first systemd with ExecSearchPath=, which the drop-in needs.
	hasSearchPath = 250
)

// PlanBootRefresh decides whether the first start is to do nothing, and says why. version is that of the root's systemd,
// 0 if it is unknown.
func PlanBootRefresh(mode BootRefresh, version int) (skip bool, reason string) {
	switch {
	case mode == BootRefreshSystemd:
		return false, "BootRefresh=systemd"
	case version != 0 && version < hasSearchPath:
		return false, fmt.Sprintf("systemd %d has no ExecSearchPath=", version)
	case mode == BootRefreshSkip:
		return true, "BootRefresh=skip"
	case version == 0:
		return false, "the version of the root's systemd is unknown"
	case version >= skipsItself:
		return false, fmt.Sprintf("systemd %d skips by itself", version)
	}
	return true, fmt.Sprintf("systemd %d would merge again", version)
}
