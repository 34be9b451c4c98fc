package plan

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
)

func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{`{"a":1,"b":[true,null]}`, "{ \"b\" : [ true , null ],\n\t\"a\" : 1 }\n", true},
		{`{"a":1795408892000000}`, `{"a":1.795408892e15}`, true},
		{`{"a":18446744073709551615}`, `{"a":18446744073709551614}`, false},
		{`{"a":0}`, `{"a":"0"}`, false},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1,"c":2}`, `{"a":1,"b":2}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1]`, `[1,1]`, false},
		{`{"a":null}`, `{}`, false},
		{`{"a":"x"}`, `{"a":"x"}`, true},
		{`{"a":{"b":"x"}}`, `{"a":{"b":"y"}}`, false},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			same, err := SameOrigin([]byte(pair[0]), []byte(pair[1]))
			if err != nil || same != c.same {
				t.Errorf("%s, %s: %v, %v", pair[0], pair[1], same, err)
			}
		}
	}
	for _, broken := range []string{"", "{", "{} {}", "x"} {
		if _, err := SameOrigin([]byte(broken), []byte("{}")); err == nil {
			t.Errorf("%q is taken", broken)
		}
	}
}

func TestFindChange(t *testing.T) {
	in := MergeInput{
		Class: osrelease.ClassSysext, Settings: extension.Settings{Mutable: "no"}, Host: testHost,
		Hierarchies: []extension.Hierarchy{
			{Path: "/usr", Resolved: "/usr", Exists: true, Permissions: 0o755}, {Path: "/opt", Resolved: "/opt", Exists: true, Permissions: 0o755},
		},
		Candidates: []Candidate{directoryImage(osrelease.ClassSysext, "a")},
	}
	m := mustMerge(t, in)
	merged := func(path string) *extension.Merged {
		return &extension.Merged{Path: path, Origin: m.Origin, NoDev: true, ReadOnly: true}
	}
	for name, c := range map[string]struct {
		now  []*extension.Merged
		want string
	}{
		"the same":      {[]*extension.Merged{merged("/usr"), merged("/opt")}, ""},
		"nothing":       {nil, "/usr is not merged"},
		"second only":   {[]*extension.Merged{merged("/opt")}, "/usr is not merged"},
		"first only":    {[]*extension.Merged{merged("/usr")}, "/opt is not merged"},
		"before 260":    {[]*extension.Merged{{Path: "/usr", NoDev: true}, merged("/opt")}, "/usr was merged by a systemd before 260"},
		"other images":  {[]*extension.Merged{merged("/usr"), {Path: "/opt", Origin: []byte("{}"), NoDev: true}}, "the images or settings of /opt"},
		"other flags":   {[]*extension.Merged{{Path: "/usr", Origin: m.Origin, NoDev: true, NoExec: true}, merged("/opt")}, "/usr is mounted with noexec"},
		"missing flags": {[]*extension.Merged{{Path: "/usr", Origin: m.Origin}, merged("/opt")}, "/usr is mounted without nodev"},
	} {
		change, err := FindChange(m, c.now)
		if err != nil || (c.want == "") != (change == "") || !strings.HasPrefix(change, c.want) {
			t.Errorf("%s: %q, %v, want %q", name, change, err, c.want)
		}
	}
	delete(in.Candidates[0].Content, "/opt")
	fewer := mustMerge(t, in)
	now := []*extension.Merged{{Path: "/usr", Origin: fewer.Origin, NoDev: true}, {Path: "/opt", Origin: fewer.Origin, NoDev: true}}
	if change, err := FindChange(fewer, now); change != "/opt is merged and should not be" || err != nil {
		t.Errorf("%q, %v", change, err)
	}
	if _, err := FindChange(m, []*extension.Merged{{Path: "/usr", Origin: []byte("{"), NoDev: true}}); err == nil {
		t.Error("a broken origin is taken")
	}
}

func TestFindShadows(t *testing.T) {
	in := confextInput("no", etc(), "00-default", "site", "~base")
	files := map[string][]string{"00-default": {"a", "d/b"}, "site": {"a", "c"}, "~base": {"a", "d/b", "e"}}
	for i := range in.Candidates {
		in.Candidates[i].Files = map[string][]string{"/etc": files[in.Candidates[i].Name]}
	}
	var got []string
	for _, shadow := range mustMerge(t, in).Shadows {
		got = append(got, shadow.String())
	}
	want := `/etc/a of "~base" is hidden by that of "site"
/etc/a of "site" is hidden by that of "00-default"
/etc/d/b of "~base" is hidden by that of "00-default"`
	if strings.Join(got, "\n") != want {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

func FuzzSameOrigin(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[true,null,"x"]}`), []byte(`{"a":1.0}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		one, err1 := SameOrigin(a, b)
		other, err2 := SameOrigin(b, a)
		if one != other || (err1 == nil) != (err2 == nil) {
			t.Errorf("%v, %v, then %v, %v", one, err1, other, err2)
		}
	})
}
