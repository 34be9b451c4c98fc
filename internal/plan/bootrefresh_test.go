package plan

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/osrelease"
)

func TestPlanBootRefresh(t *testing.T) {
	for _, c := range []struct {
		mode    BootRefresh
		version int
		skip    bool
		reason  string
	}{
		{"", 257, true, "systemd 257 would merge again"},
		{BootRefreshAuto, 250, true, "systemd 250 would merge again"},
		{BootRefreshAuto, 259, true, "systemd 259 would merge again"},
		{BootRefreshAuto, 260, false, "systemd 260 skips by itself"},
		{BootRefreshAuto, 262, false, "systemd 262 skips by itself"},
		{BootRefreshAuto, 0, false, "the version of the root's systemd is unknown"},
		{BootRefreshAuto, 249, false, "systemd 249 has no ExecSearchPath="},
		{BootRefreshSkip, 249, false, "systemd 249 has no ExecSearchPath="},
		{BootRefreshSkip, 257, true, "BootRefresh=skip"},
		{BootRefreshSkip, 262, true, "BootRefresh=skip"},
		{BootRefreshSkip, 0, true, "BootRefresh=skip"},
		{BootRefreshSystemd, 257, false, "BootRefresh=systemd"},
		{BootRefreshSystemd, 0, false, "BootRefresh=systemd"},
	} {
		if skip, reason := PlanBootRefresh(c.mode, c.version); skip != c.skip || reason != c.reason {
			t.Errorf("%q, %d: %v, %q", c.mode, c.version, skip, reason)
		}
	}
}

func TestBootRefreshIsRead(t *testing.T) {
	settings, err := ParseSettings([]byte("[ConfExt]\nBootRefresh=skip\n[SysExt]\nBootRefresh=auto\nBootRefresh=systemd\n"))
	if err != nil {
		t.Fatal(err)
	}
	boot, err := PlanBoot(kernelcmdline.Parse(wholeLine), settings)
	if err != nil {
		t.Fatal(err)
	}
	if boot.BootRefresh[osrelease.ClassConfext] != BootRefreshSkip || boot.BootRefresh[osrelease.ClassSysext] != BootRefreshSystemd {
		t.Errorf("%v", boot.BootRefresh)
	}
	for _, word := range []string{"", "Skip", "yes", "skip systemd"} {
		_, err := ParseSettings([]byte("[ConfExt]\nBootRefresh=" + word + "\n"))
		if err == nil || !strings.Contains(err.Error(), "BootRefresh="+word+" in [ConfExt]: want auto, skip or systemd") {
			t.Errorf("%q: %v", word, err)
		}
	}
}
