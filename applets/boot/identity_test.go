package boot

import (
	"testing"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/imagepolicy"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

func TestSameImages(t *testing.T) {
	image := func(change func(c *plan.Candidate)) []plan.Candidate {
		c := plan.Candidate{Release: osrelease.Fields{"ID": "_any"}, Image: extension.Image{
			Name: "x", Path: "/usr/lib/confexts/x", Identity: extension.Identity{MountID: 7, Handle: []byte{1}},
		}}
		if change != nil {
			change(&c)
		}
		return []plan.Candidate{c}
	}
	elsewhere := func(c *plan.Candidate) { c.MountID = 8 }
	verified := func(hash byte) func(c *plan.Candidate) {
		return func(c *plan.Candidate) {
			c.MountID += uint64(hash)
			c.Dissected, c.Use = &ddi.Image{RootHash: []byte{hash}}, imagepolicy.Use{Verity: true}
		}
	}
	sysexts := []plan.Candidate{{Image: extension.Image{Name: "sx"}, Files: map[string][]string{"/usr": {"bin/a", "lib/confexts/x/etc/b"}}},
		{Image: extension.Image{Name: "cut"}, FilesCut: true}}
	for name, test := range map[string]struct {
		before, after []plan.Candidate
		sysexts       []string
		same          bool
	}{
		"nothing":                    {nil, nil, nil, true},
		"one more":                   {nil, image(nil), nil, false},
		"the same":                   {image(nil), image(nil), []string{"sx", "cut"}, true},
		"on another mount":           {image(nil), image(elsewhere), nil, true},
		"covered":                    {image(nil), image(elsewhere), []string{"sx"}, false},
		"covered by nobody knows":    {image(nil), image(elsewhere), []string{"cut"}, false},
		"another name":               {image(nil), image(func(c *plan.Candidate) { c.Name = "y" }), nil, false},
		"another path":               {image(nil), image(func(c *plan.Candidate) { c.Path += "y" }), nil, false},
		"emptied":                    {image(nil), image(func(c *plan.Candidate) { c.Release = nil }), nil, false},
		"the same root hash":         {image(verified(1)), image(verified(1)), []string{"sx"}, true},
		"another root hash":          {image(verified(1)), image(verified(2)), nil, false},
		"root hash that came":        {image(nil), image(verified(1)), nil, false},
		"root hash without checking": {image(func(c *plan.Candidate) { verified(1)(c); c.Use.Verity = false }), image(func(c *plan.Candidate) { verified(1)(c); c.Use.Verity, c.MountID = false, 9 }), []string{"sx"}, false},
	} {
		if got := sameImages(test.before, test.after, coverOf(sysexts, test.sysexts)); got != test.same {
			t.Errorf("%s: %v", name, got)
		}
	}
}
