package initramfs

import (
	"reflect"
	"strings"
	"testing"

	"github.com/preroot/preroot/initramfs/kerneltree"
)

// indexOf makes an index of modules in the notation "name: need need".
func indexOf(lines []string, soft ...kerneltree.SoftDependency) *kerneltree.Index {
	var all []kerneltree.Dependency
	for _, line := range lines {
		name, needs, _ := strings.Cut(line, ":")
		d := kerneltree.Dependency{Path: "kernel/" + name + ".ko"}
		for _, need := range strings.Fields(needs) {
			d.Needs = append(d.Needs, "kernel/"+need+".ko")
		}
		all = append(all, d)
	}
	return kerneltree.NewIndex(all, nil, soft, []string{"ext4"}, nil)
}

func TestModulesComeInLoadingOrder(t *testing.T) {
	before := func(module string, names ...string) kerneltree.SoftDependency {
		return kerneltree.SoftDependency{Module: module, Before: names}
	}
	for _, c := range []struct {
		name  string
		index *kerneltree.Index
		asked string
		want  string
	}{
		{"nothing", indexOf(nil), "", ""},
		{"built in", indexOf(nil), "ext4", ""},
		{"alone", indexOf([]string{"a:"}), "a", "a"},
		{"asked twice", indexOf([]string{"a-b:"}), "a-b a_b", "a_b"},
		{"chain", indexOf([]string{"a: b c", "b: c", "c:"}), "a", "c b a"},
		{"asked in the wrong order", indexOf([]string{"a: b", "b:"}), "a b", "b a"},
		{"soft first", indexOf([]string{"a: b", "b:", "s:"}, before("a", "s")), "a", "s b a"},
		{"soft of a need", indexOf([]string{"a: b", "b:", "s: t", "t:"}, before("b", "s")), "a", "t s b a"},
		{"soft is missing", indexOf([]string{"a:"}, before("a", "s")), "a", "a"},
		{"soft is built in", indexOf([]string{"a:"}, before("a", "ext4")), "a", "a"},
		{"soft circle", indexOf([]string{"a:", "b:"}, before("a", "b"), before("b", "a")), "a", "b a"},
		{"soft of itself", indexOf([]string{"a:"}, before("a", "a")), "a", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var requests []request
			for _, name := range strings.Fields(c.asked) {
				requests = append(requests, request{name: name, reason: "asked for"})
			}
			s, err := pickModules(&kernel{index: c.index}, requests)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range s.modules {
				got = append(got, m.Name())
			}
			if !reflect.DeepEqual(got, strings.Fields(c.want)) && len(got)+len(c.want) > 0 {
				t.Errorf("picked %v, want %v", got, c.want)
			}
		})
	}
}

func TestUnknownModulesAreNamedTogether(t *testing.T) {
	_, err := pickModules(&kernel{index: indexOf([]string{"a:"})}, []request{{name: "one"}, {name: "a"}, {name: "two"}, {name: "ext4"}})
	if err == nil || !strings.HasSuffix(err.Error(), ": one, two") {
		t.Errorf("got %v", err)
	}
}

func TestDefaultModulesAreTheThirteenDrivers(t *testing.T) {
	requests, err := requestsOf(Options{ExtraModules: []string{"more"}}, nil)
	if err != nil || len(requests) != 14 || requests[0].reason != "in the default set" || requests[13] != (request{name: "more", reason: "asked for"}) {
		t.Errorf("requests %v, %v", requests, err)
	}
	if got, err := requestsOf(Options{Modules: []string{}}, nil); got != nil || err != nil {
		t.Errorf("an empty list gives %v, %v", got, err)
	}
}
