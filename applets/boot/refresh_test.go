package boot

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/bootrefresh"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// TestOnlyWhatWasMergedIsSpared: a stamp must not stand for extensions that the merge did not see.
func TestOnlyWhatWasMergedIsSpared(t *testing.T) {
	merge := &plan.Merge{
		Class: osrelease.ClassSysext,
		Decisions: []plan.Decision{
			{Name: "b", Path: "/var/lib/extensions/b", Accepted: true}, {Name: "a", Path: "/etc/extensions/a"},
		},
		Overlays: []plan.Overlay{{Hierarchy: "/usr"}},
	}
	good := func() *bootrefresh.State {
		return &bootrefresh.State{
			Hierarchies: []bootrefresh.Hierarchy{{Path: "/usr", MountID: 7, Merged: true}, {Path: "/opt", MountID: 1}},
			Images:      []bootrefresh.Image{{Name: "a", Path: "/etc/extensions/a"}, {Name: "b", Path: "/var/lib/extensions/b"}},
		}
	}
	if err := checkSeen(merge, good()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*bootrefresh.State)
		want   string
	}{
		"one more":     {func(s *bootrefresh.State) { s.Images = append(s.Images, bootrefresh.Image{Name: "c"}) }, "there are other sysexts"},
		"one less":     {func(s *bootrefresh.State) { s.Images = s.Images[:1] }, "there are other sysexts"},
		"another path": {func(s *bootrefresh.State) { s.Images[1].Path = "/run/extensions/b" }, "there are other sysexts"},
		"covered":      {func(s *bootrefresh.State) { s.Hierarchies[0].Merged = false }, "/usr does not show what was merged"},
		"foreign":      {func(s *bootrefresh.State) { s.Hierarchies[1].Merged = true }, "/opt does not show what was merged"},
	} {
		state := good()
		c.change(state)
		if err := checkSeen(merge, state); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
