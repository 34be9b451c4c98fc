package merge

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/plan"
)

// Every member that plan and explain print is described in docs/merge.md, and what is not there is null.
func TestMembersAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/merge.md")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s := &session{stdout: &out, options: options{json: "short"}}
	m := &plan.Merge{
		Class: "confext", Decisions: []plan.Decision{{Class: "confext", Name: "x", Signature: plan.NoSignature}},
		Overlays: []plan.Overlay{{Hierarchy: "/etc", Target: "/etc", Sources: []string{"x", plan.FromHost}}},
		Shadows:  []plan.Shadow{{Path: "/etc/a", By: "b", Hidden: "c"}},
	}
	s.printJSON(s.planJSON(m, "no", ""))
	v := &observed{opened: &opened{session: s}}
	v.printLookup("/etc/a", m.Overlays[0], []apply.Found{{Source: "x", Kind: "file", At: "a"}})
	for line := range strings.Lines(out.String()) {
		var value any
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, name := range memberNames(value) {
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("docs/merge.md does not describe the member %s", name)
			}
		}
	}
	for _, null := range []string{`"rootHash":null`, `"signatureNote":null`, `"upper":null`, `"change":null`} {
		if !strings.Contains(out.String(), null) {
			t.Errorf("no %s in %s", null, out.String())
		}
	}
}

func memberNames(value any) (names []string) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			names = append(append(names, name), memberNames(inner)...)
		}
	case []any:
		for _, inner := range value {
			names = append(names, memberNames(inner)...)
		}
	}
	return names
}
