package bootreport

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest/jsonschema"
)

const docs = "../../docs/"

func readSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(docs + "report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// difference says what is wrong between a type and a part of the schema, nothing if they agree.
func difference(root, part *jsonschema.Schema, of reflect.Type, at string) []string {
	part = root.Resolve(part)
	wrong := func(format string, values ...any) []string {
		return []string{fmt.Sprintf("%s (%s): %s", at, of, fmt.Sprintf(format, values...))}
	}
	want := map[reflect.Kind]string{
		reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number", reflect.Int: "integer", reflect.Int64: "integer",
		reflect.Uint64: "integer", reflect.Slice: "array", reflect.Map: "object", reflect.Struct: "object",
	}[of.Kind()]
	switch {
	case of.Kind() == reflect.Pointer:
		return difference(root, part, of.Elem(), at)
	case want == "":
		return wrong("no such type is known to the schema")
	case part.Type == "" && part.Const != nil:
		if got := map[string]string{"bool": "boolean", "float64": "integer", "string": "string"}[reflect.TypeOf(part.Const).String()]; got != want {
			return wrong("the schema has a %s", got)
		}
		return nil
	case part.Type == "" && part.Enum != nil:
		part = &jsonschema.Schema{Type: "string"}
	}
	if part.Type != want {
		return wrong("the schema has type %q", part.Type)
	}
	switch of.Kind() {
	case reflect.Slice:
		if part.Items == nil {
			return wrong("the schema says nothing of the items")
		}
		return difference(root, part.Items, of.Elem(), at+"[]")
	case reflect.Map:
		if part.AdditionalProperties == nil {
			return wrong("the schema says nothing of the values")
		}
		return difference(root, part.AdditionalProperties, of.Elem(), at+"{}")
	case reflect.Struct:
		return structDifference(root, part, of, at)
	}
	return nil
}

func structDifference(root, part *jsonschema.Schema, of reflect.Type, at string) (found []string) {
	left := maps.Clone(part.Properties)
	for i := range of.NumField() {
		field := of.Field(i)
		if !field.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		described := part.Properties[name]
		if name == "" || described == nil {
			found = append(found, fmt.Sprintf("%s.%s is not in the schema", at, field.Name))
			continue
		}
		delete(left, name)
		if optional := strings.Contains(options, "omitempty"); optional == slices.Contains(part.Required, name) {
			found = append(found, fmt.Sprintf("%s.%s: may it be missing? The type says %v, the schema %v", at, name, optional, !optional))
		}
		found = append(found, difference(root, described, field.Type, at+"."+name)...)
	}
	for name := range left {
		found = append(found, fmt.Sprintf("%s.%s is in the schema only", at, name))
	}
	return found
}

func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	schema := readSchema(t)
	for _, wrong := range difference(schema, schema, reflect.TypeFor[Report](), "report") {
		t.Error(wrong)
	}
}

// TestTheComparisonFindsDifferences takes something out of the schema, or changes it, everywhere in turn.
func TestTheComparisonFindsDifferences(t *testing.T) {
	count := 0
	objects := func(s *jsonschema.Schema) map[string]*jsonschema.Schema {
		all := map[string]*jsonschema.Schema{"report": s}
		for name, part := range s.Defs {
			if part.Type == "object" {
				all[name] = part
			}
		}
		return all
	}
	for object, part := range objects(readSchema(t)) {
		for name := range part.Properties {
			for what, change := range map[string]func(s, part *jsonschema.Schema){
				"missing": func(_, part *jsonschema.Schema) { delete(part.Properties, name) },
				"renamed": func(_, part *jsonschema.Schema) {
					part.Properties[name+"x"] = part.Properties[name]
				},
				"of another type": func(_, part *jsonschema.Schema) { part.Properties[name] = &jsonschema.Schema{Type: "nothing"} },
				"optional or not": func(_, part *jsonschema.Schema) {
					at := slices.Index(part.Required, name)
					if at < 0 {
						part.Required = append(part.Required, name)
					} else {
						part.Required = slices.Delete(part.Required, at, at+1)
					}
				},
			} {
				count++
				s := readSchema(t)
				change(s, objects(s)[object])
				if len(difference(s, s, reflect.TypeFor[Report](), "report")) == 0 {
					t.Errorf("%s of %s %s: not found", name, object, what)
				}
			}
		}
	}
	if count < 200 {
		t.Errorf("only %d changes", count)
	}
}

// row is the first column of a table in docs/report.md.
var row = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| (.+) \\|$")

// TestTheTextHasEveryMember: a section for each object, a row for each member, and none else.
func TestTheTextHasEveryMember(t *testing.T) {
	text, err := os.ReadFile(docs + "report.md")
	if err != nil {
		t.Fatal(err)
	}
	schema := readSchema(t)
	objects := map[string]*jsonschema.Schema{"report": schema}
	for name, part := range schema.Defs {
		if part.Type == "object" {
			objects[name] = part
		}
	}
	sections := strings.Split(string(text), "\n## ")[1:]
	if len(sections) != len(objects) {
		t.Errorf("%d sections for %d objects", len(sections), len(objects))
	}
	for _, section := range sections {
		name, rows, _ := strings.Cut(section, "\n")
		if objects[name] == nil {
			t.Errorf("section %s is no object of the schema", name)
			continue
		}
		var members []string
		for _, found := range row.FindAllStringSubmatch(rows, -1) {
			members = append(members, found[1])
			// What goes well is not marked: failure and error of a step say when they are missing.
			mayBeMissing := strings.Contains(found[2], "may be missing") || strings.Contains(found[2], "missing where it went well")
			if required := slices.Contains(objects[name].Required, found[1]); required == mayBeMissing {
				t.Errorf("%s of %s: required %v, but the text says %q", found[1], name, required, found[2])
			}
		}
		slices.Sort(members)
		if want := slices.Sorted(maps.Keys(objects[name].Properties)); !slices.Equal(members, want) {
			t.Errorf("%s: the text has %q, the schema %q", name, members, want)
		}
	}
}

// full has something in every member, which TestFullIsFull checks.
func full() *Report {
	r := sample()
	r.Versions = Versions{Preroot: "v1.2.3", Revision: strings.Repeat("0f", 20) + "+changed", Go: "go1.26", Systemd: 262}
	r.Failure = "no init"
	r.FailureCode, r.PreviousFailure, r.Shell = "PR-HANDOVER", "PR-TIME find devices", true
	r.Resumed = []Resume{{Step: "open /usr", Failure: "it is damaged", FailureCode: "PR-USR-DAMAGED", Words: "root=/dev/vda4"}}
	r.Steps[0].UserMS, r.Steps[0].KernelMS = 1.5, 2
	r.Usr.SignatureNote = "unknown key"
	r.Root.Volatile = "overlay"
	r.Root.Verity = &Verity{
		Data: "/dev/vda4", Hash: "/dev/vda5", RootHash: "ab12", RootHashFrom: "roothash= on the kernel command line", Algorithm: "sha256",
		UUID: "CRYPT-VERITY-1-root", Signature: "not accepted", SignatureFrom: "/dev/vda6", SignatureNote: "no key",
	}
	r.Rules = &Rules{
		DryRun: true, Unmerged: true, Omitted: 3, Notes: []string{"a note"},
		Actions: []RuleAction{{Rule: "R7", Do: "remove", Path: "/etc/x", Why: "as shipped", Error: "read-only"}},
	}
	r.EarlyMounts = []EarlyMount{{Where: "/var", Device: "/dev/vda5", FileSystem: "ext4"}}
	r.SecondStage = &SecondStage{Image: "/usr/lib/flatcar/bootengine.img", Reasons: []string{"no root="}, Carried: []string{"/oem"}}
	r.Merges[0].Shadows, r.Merges[0].BootRefresh = []string{"a hides b"}, "left to systemd"
	r.Merges[0].Decisions[0].SignatureNote = "no key"
	r.Handover.LeftOver, r.Handover.HelperMounts = []string{"init"}, []string{"/run/x"}
	return r
}

func TestFullIsFull(t *testing.T) {
	var empty func(v reflect.Value, at string)
	empty = func(v reflect.Value, at string) {
		if v.IsZero() {
			t.Errorf("%s is empty", at)
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			empty(v.Elem(), at)
		case reflect.Slice:
			empty(v.Index(0), at+"[0]")
		case reflect.Struct:
			for i := range v.NumField() {
				// Error of the first step is shown by the second one.
				if field := v.Type().Field(i); field.IsExported() && at+"."+field.Name != "report.Steps[0].Error" {
					empty(v.Field(i), at+"."+field.Name)
				}
			}
		}
	}
	empty(reflect.ValueOf(full()), "report")
}

func TestRecordsAreAsTheSchemaSays(t *testing.T) {
	schema := readSchema(t)
	failed := New("7.2.12", "quiet", "sealed")
	failed.Begin("mount")
	failed.Failure = "no /dev"
	failed.End()
	for name, r := range map[string]*Report{"full": full(), "sample": sample(), "fresh": New("", "", "sealed"), "failed": failed} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Check(text); err != nil {
			t.Errorf("%s:\n%v\n%s", name, err, text)
		}
	}
	r := full()
	r.MountIDs["/etc"], r.Usr.RootHash, r.Merges[0].Class, r.Steps[1].Name, r.Warnings = 0, "AB", "other", "", nil
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	err = schema.Check(text)
	for _, want := range []string{"$.mountIds./etc: ", "$.usr.rootHash: ", "$.merges[0].class: ", "$.steps[1].name: ", "$.warnings: it is of type null"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
}

func TestAStepThatDoesNotEnd(t *testing.T) {
	r := New("", "", "sealed")
	r.Begin("first")(nil)
	late := r.Begin("second")
	time.Sleep(5 * time.Millisecond)
	r.End()
	first, second := r.Steps[0], r.Steps[1]
	if first.Error != "" || first.EndMS < first.StartMS || second.Error != notEnded || second.EndMS != r.EndedMS || second.DurationMS < 4 {
		t.Errorf("%+v", r.Steps)
	}
	// What comes after that changes only this step.
	late(nil)
	if len(r.Steps) != 2 || r.Steps[0] != first || r.Steps[1].Error != "" {
		t.Errorf("%+v", r.Steps)
	}
}

// TestStepsHaveTheirProcessorTime works in one step and sleeps in the other.
func TestStepsHaveTheirProcessorTime(t *testing.T) {
	r := New("", "", "sealed")
	end := r.Begin("work")
	sum := 0.0
	before, _ := processorTime()
	used := func() time.Duration {
		user, _ := processorTime()
		return user - before
	}
	for start := time.Now(); used() < 40*time.Millisecond && time.Since(start) < 20*time.Second; {
		for i := range 10000 {
			sum += math.Sqrt(float64(i))
		}
	}
	end(nil)
	end = r.Begin("sleep")
	time.Sleep(30 * time.Millisecond)
	end(nil)
	work, sleep := r.Steps[0], r.Steps[1]
	if work.UserMS+work.KernelMS < 20 || sleep.UserMS+sleep.KernelMS > 20 || sum == 0 {
		t.Errorf("work %+v, sleep %+v", work, sleep)
	}
}

func TestVersions(t *testing.T) {
	const revision = "0123456789012345678901234567890123456789"
	settings := func(pairs ...string) []debug.BuildSetting {
		all := []debug.BuildSetting{{Key: "-trimpath", Value: "true"}}
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	for want, info := range map[Versions]*debug.BuildInfo{
		{Preroot: "(devel)", Go: "go1.26"}:                                 {GoVersion: "go1.26", Main: debug.Module{Version: "(devel)"}, Settings: settings()},
		{Preroot: "v1.0.0", Go: "go1.26", Revision: revision}:              {GoVersion: "go1.26", Main: debug.Module{Version: "v1.0.0"}, Settings: settings("vcs.revision", revision, "vcs.modified", "false")},
		{Preroot: "v1.0.1", Go: "go1.26", Revision: revision + "+changed"}: {GoVersion: "go1.26", Main: debug.Module{Version: "v1.0.1"}, Settings: settings("vcs.modified", "true", "vcs.revision", revision)},
		{Preroot: "v1.0.2", Go: "go1.26"}:                                  {GoVersion: "go1.26", Main: debug.Module{Version: "v1.0.2"}, Settings: settings("vcs.modified", "true")},
	} {
		if got := versionsOf(info); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if got := New("", "", "").Versions; got.Preroot == "" || !strings.HasPrefix(got.Go, "go") && !strings.HasPrefix(got.Go, "devel") {
		t.Errorf("of this test: %+v", got)
	}
}
