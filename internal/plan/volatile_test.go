package plan

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/osrelease"
)

func TestPlanVolatile(t *testing.T) {
	for words, want := range map[string]struct {
		mode                         Volatile
		readOnly, takesWrites, merge bool
		warning                      string
	}{
		"rw":                          {VolatileNo, false, true, true, ""},
		"ro":                          {VolatileNo, true, false, false, "read-only (no rw"},
		"rw systemd.volatile=no":      {VolatileNo, false, true, true, ""},
		"rw systemd.volatile":         {VolatileYes, true, true, true, "the root is in memory"},
		"ro systemd.volatile=yes":     {VolatileYes, true, true, true, "the root is in memory"},
		"rw systemd.volatile=state":   {VolatileState, true, false, false, "read-only (systemd.volatile=state)"},
		"rw systemd.volatile=overlay": {VolatileOverlay, true, true, false, "read-only (systemd.volatile=overlay)"},
		"rw systemd.volatile=state systemd.volatile=0":    {VolatileNo, false, true, true, ""},
		"rw systemd.volatile=no systemd.volatile=overlay": {VolatileOverlay, true, true, false, "systemd.volatile=overlay"},
	} {
		b, err := PlanBoot(kernelcmdline.Parse("root=LABEL=x usrhash="+testHash+" "+words), Settings{})
		if err != nil {
			t.Errorf("%s: %v", words, err)
			continue
		}
		if b.Volatile != want.mode || b.Root.IsReadOnly() != want.readOnly || b.RootTakesWrites() != want.takesWrites || b.MergesTakeWrites() != want.merge {
			t.Errorf("%s: mode %q, read-only %v, takes writes %v, merges do %v", words, b.Volatile, b.Root.IsReadOnly(), b.RootTakesWrites(), b.MergesTakeWrites())
		}
		if warnings := strings.Join(b.Warnings, "\n"); !strings.Contains(warnings, want.warning) || want.warning == "" && warnings != "" {
			t.Errorf("%s: warnings %q, want %q", words, warnings, want.warning)
		}
		// A larger initrd on /usr has its own way with it; without one the boot goes on.
		stage, err := PlanSecondStage(b.Fallback, true)
		if err != nil || stage.Enter != (want.mode != VolatileNo) {
			t.Errorf("%s: %+v, %v", words, stage, err)
		}
		if stage, err := PlanSecondStage(b.Fallback, false); err != nil || stage.Enter {
			t.Errorf("%s without one: %+v, %v", words, stage, err)
		}
	}
}

func TestPlanRefreshOnAnOverlay(t *testing.T) {
	for _, c := range []struct {
		mode     Volatile
		setting  BootRefresh
		version  int
		skip     bool
		contains string
	}{
		{VolatileNo, "", 262, false, "skips by itself"},
		{VolatileOverlay, "", 262, true, "overlay"},
		{VolatileOverlay, BootRefreshSystemd, 262, false, "BootRefresh=systemd"},
		{VolatileOverlay, "", 249, false, "ExecSearchPath="},
		{VolatileState, "", 262, false, "skips by itself"},
	} {
		b := &Boot{Volatile: c.mode, BootRefresh: map[osrelease.Class]BootRefresh{osrelease.ClassConfext: c.setting}}
		if skip, reason := b.PlanRefresh(osrelease.ClassConfext, c.version); skip != c.skip || !strings.Contains(reason, c.contains) {
			t.Errorf("%+v: %v, %q", c, skip, reason)
		}
	}
}
