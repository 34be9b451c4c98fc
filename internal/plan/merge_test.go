package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
)

var testHost = osrelease.Host{Fields: osrelease.Fields{"ID": "debian", "VERSION_ID": "14"}, Architecture: "x86-64"}

// directoryImage is a candidate that matches and has content in every hierarchy of its class.
func directoryImage(class osrelease.Class, name string) Candidate {
	c := Candidate{
		Image: extension.Image{
			Class: class, Name: name, Path: "/var/lib/" + string(class) + "s/" + name, Type: extension.Directory,
			Identity: extension.Identity{MountID: 2147483680, HandleType: 1, Handle: []byte(name), CreatedUSec: 3},
		},
		Release: osrelease.Fields{"ID": "_any"},
		Content: map[string]string{},
	}
	for i, hierarchy := range extension.Hierarchies(class) {
		c.Content[hierarchy] = "/ws/" + name + strings.Repeat("x", i)
	}
	return c
}

func verityImage(class osrelease.Class, name string, rootHash []byte) Candidate {
	c := directoryImage(class, name)
	c.Path += ".raw"
	c.Type = extension.Raw
	c.Use.Verity = true
	c.Dissected = &ddi.Image{Kind: ddi.KindGPT, Data: &ddi.Area{}, Hash: &ddi.Area{}, RootHash: rootHash}
	return c
}

// etc is an ordinary /etc.
func etc() extension.Hierarchy {
	return extension.Hierarchy{Path: "/etc", Resolved: "/etc", Exists: true, Permissions: 0o755, Backing: "254:0"}
}

func confextInput(mode string, hierarchy extension.Hierarchy, names ...string) MergeInput {
	in := MergeInput{
		Class: osrelease.ClassConfext, Settings: extension.Settings{Mutable: mode}, Host: testHost,
		Hierarchies: []extension.Hierarchy{hierarchy}, RootPath: "/sysroot",
	}
	for _, name := range names {
		in.Candidates = append(in.Candidates, directoryImage(in.Class, name))
	}
	return in
}

func mustMerge(t *testing.T, in MergeInput) *Merge {
	t.Helper()
	m, err := PlanMerge(in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPlanMergeOrdersLayers(t *testing.T) {
	for name, c := range map[string]struct{ found, want []string }{
		// Digits are newer than letters, so the default lies above.
		"user below 00-default": {[]string{"user", "00-default"}, []string{"user", "00-default"}},
		"as captured from systemd": {
			[]string{"10", "9", "1", "a10", "a2", "b", "one", "a1", "A"},
			[]string{"A", "a1", "a2", "a10", "b", "one", "1", "9", "10"},
		},
		"equal versions by their bytes": {[]string{"a_2", "a2", "a+2"}, []string{"a+2", "a2", "a_2"}},
		"odd names":                     {[]string{"x y", `a,b:c\d`, "ü", "é"}, []string{"é", "ü", `a,b:c\d`, "x y"}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				m := mustMerge(t, confextInput("no", etc(), c.found...))
				if !slices.Equal(m.Names, c.want) {
					t.Fatalf("names %q, want %q", m.Names, c.want)
				}
				var layers []string
				for _, name := range slices.Backward(c.want) {
					layers = append(layers, "/ws/"+name)
				}
				layers = append(layers, "/sysroot/etc")
				if len(m.Overlays) != 1 || !slices.Equal(m.Overlays[0].Layers, layers) {
					t.Fatalf("%+v, want layers %q", m.Overlays, layers)
				}
				for i, d := range m.Decisions {
					if d.Name != c.want[i] || !d.Accepted {
						t.Errorf("decision %d: %+v", i, d)
					}
				}
				slices.Reverse(c.found)
			}
		})
	}
}

func TestPlanMergeModes(t *testing.T) {
	const base = "/var/lib/extensions.mutable/etc"
	separate := &extension.MutableDirectory{Path: base}
	moved := &extension.MutableDirectory{Path: "/data/upper etc"}
	host := &extension.MutableDirectory{Path: "/etc", IsHost: true}
	broken := &extension.MutableDirectory{Path: base, WriteProblem: "it has mode 0700, ought to have mode 0755"}
	useless := &extension.MutableDirectory{Path: base, Problem: "it is not a directory"}
	for name, c := range map[string]struct {
		mode    string
		mutable *extension.MutableDirectory
		names   []string

		none              bool // no overlay at all
		layers            string
		upper, work, file string
		backing           string
		dirs              string // the value of mutableDirs
		makeUpper         bool
		ephemeral         bool
		fails             string
	}{
		"no":                               {mode: "no", names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0"},
		"no ignores the mutable directory": {mode: "no", mutable: separate, names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0"},
		"no ignores a broken one":          {mode: "no", mutable: broken, names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0"},
		"no ignores one that is the host":  {mode: "no", mutable: host, names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0"},
		"no and nothing":                   {mode: "no", none: true},
		"auto without directory":           {mode: "auto", names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0"},
		"auto without anything":            {mode: "auto", layers: "/sysroot/etc", backing: "254:0"},
		"auto": {mode: "auto", mutable: separate, names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0",
			upper: "/sysroot" + base, work: "/sysroot/var/lib/extensions.mutable/.systemd-etc-workdir",
			file: "var/lib/extensions.mutable/.systemd-etc-workdir", dirs: base},
		"auto, a link": {mode: "auto", mutable: moved, names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0",
			upper: "/sysroot/data/upper etc", work: "/sysroot/data/.systemd-etc-workdir", file: "data/.systemd-etc-workdir", dirs: "/data/upper etc"},
		"auto, a link to the host": {mode: "auto", mutable: host, names: []string{"a"}, layers: "/ws/a",
			upper: "/sysroot/etc", work: "/sysroot/.systemd-etc-workdir", file: ".systemd-etc-workdir", dirs: "/etc"},
		"auto, the host and no extension": {mode: "auto", mutable: host, layers: "",
			upper: "/sysroot/etc", work: "/sysroot/.systemd-etc-workdir", file: ".systemd-etc-workdir", dirs: "/etc"},
		"auto, broken": {mode: "auto", mutable: broken, names: []string{"a"}, fails: base + ": it has mode 0700"},
		"yes": {mode: "yes", mutable: separate, names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0",
			upper: "/sysroot" + base, work: "/sysroot/var/lib/extensions.mutable/.systemd-etc-workdir",
			file: "var/lib/extensions.mutable/.systemd-etc-workdir", dirs: base},
		"yes without extension": {mode: "yes", mutable: separate, layers: "/sysroot/etc", backing: "254:0",
			upper: "/sysroot" + base, work: "/sysroot/var/lib/extensions.mutable/.systemd-etc-workdir",
			file: "var/lib/extensions.mutable/.systemd-etc-workdir", dirs: base},
		"yes without directory": {mode: "yes", names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0",
			upper: "/sysroot" + base, work: "/sysroot/var/lib/extensions.mutable/.systemd-etc-workdir",
			file: "var/lib/extensions.mutable/.systemd-etc-workdir", dirs: base, makeUpper: true},
		"yes, broken":    {mode: "yes", mutable: broken, fails: "0700"},
		"yes, useless":   {mode: "yes", mutable: useless, fails: "it is not a directory"},
		"import":         {mode: "import", mutable: separate, names: []string{"a"}, layers: "/sysroot" + base + " /ws/a /sysroot/etc", backing: "254:0", dirs: base},
		"import broken":  {mode: "import", mutable: broken, names: []string{"a"}, layers: "/sysroot" + base + " /ws/a /sysroot/etc", backing: "254:0", dirs: base},
		"import useless": {mode: "import", mutable: useless, names: []string{"a"}, fails: "it is not a directory"},
		"import nothing": {mode: "import", names: []string{"a"}, layers: "/ws/a /sysroot/etc", backing: "254:0"},
		"import itself":  {mode: "import", mutable: host, fails: "cannot be imported into itself"},
		"ephemeral": {mode: "ephemeral", mutable: useless, layers: "/sysroot/etc", backing: "254:0",
			dirs: "/run/systemd/sysext/etc", ephemeral: true},
		"ephemeral-import": {mode: "ephemeral-import", mutable: separate, names: []string{"a"}, layers: "/sysroot" + base + " /ws/a /sysroot/etc",
			backing: "254:0", dirs: "/run/systemd/sysext/etc", ephemeral: true},
		"ephemeral-import, none":   {mode: "ephemeral-import", layers: "/sysroot/etc", backing: "254:0", dirs: "/run/systemd/sysext/etc", ephemeral: true},
		"ephemeral-import, itself": {mode: "ephemeral-import", mutable: host, fails: "cannot be imported into itself"},
		"a mode that is none":      {mode: "", names: []string{"a"}, fails: "Mutable= is no mode"},
	} {
		t.Run(name, func(t *testing.T) {
			hierarchy := etc()
			hierarchy.Mutable, hierarchy.MutablePath = c.mutable, base
			m, err := PlanMerge(confextInput(c.mode, hierarchy, c.names...))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("%v, want %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.none {
				if len(m.Overlays) != 0 || m.Origin != nil {
					t.Errorf("%+v", m)
				}
				return
			}
			if len(m.Overlays) != 1 {
				t.Fatalf("%+v", m)
			}
			o := m.Overlays[0]
			if strings.Join(o.Layers, " ") != c.layers || o.Upper != c.upper || o.Work != c.work || o.WorkInside != c.file ||
				o.Backing != c.backing || o.Target != "/sysroot/etc" || o.Hierarchy != "/etc" || o.Permissions != 0o755 ||
				o.MakeUpper != c.makeUpper || o.Ephemeral != c.ephemeral {
				t.Errorf("%+v", o)
			}
			wantAttributes, wantOptions := mountapi.NoSUID|mountapi.NoDev|mountapi.NoExec, 0
			if c.upper != "" || c.ephemeral {
				wantAttributes, wantOptions = wantAttributes|mountapi.NoATime, 3
			} else {
				wantAttributes |= mountapi.ReadOnly
			}
			if o.Attributes != wantAttributes || len(o.Options) != wantOptions {
				t.Errorf("attributes %#x, options %v", o.Attributes, o.Options)
			}
			want := map[string]any{"mode": c.mode}
			if c.dirs != "" {
				want["mutableDirs"] = map[string]any{"/etc": c.dirs}
			}
			if got := decode(t, m.Origin).(map[string]any); !equalJSON(got["mutable"], want) {
				t.Errorf("origin %s", m.Origin)
			}
			if _, some := decode(t, m.Origin).(map[string]any)["extensions"]; some != (len(c.names) > 0) {
				t.Errorf("origin %s", m.Origin)
			}
		})
	}
}

// On a root that is mounted read-only nothing takes writes, and what was written before still lies on top.
func TestPlanMergeWithoutWrites(t *testing.T) {
	elsewhere := &extension.MutableDirectory{Path: "/var/lib/extensions.mutable/etc", WriteProblem: "its file system is read-only"}
	for name, c := range map[string]struct {
		mode    string
		mutable *extension.MutableDirectory
		want    []string
	}{
		"auto, /etc itself": {"auto", &extension.MutableDirectory{Path: "/etc", IsHost: true, WriteProblem: "its file system is read-only"}, []string{FromHost, "a"}},
		"auto, elsewhere":   {"auto", elsewhere, []string{FromImport, "a", FromHost}},
		"yes, elsewhere":    {"yes", elsewhere, []string{FromImport, "a", FromHost}},
		"auto, none":        {"auto", nil, []string{"a", FromHost}},
		"yes, none":         {"yes", nil, []string{"a", FromHost}},
		"no":                {"no", elsewhere, []string{"a", FromHost}},
	} {
		h := etc()
		h.Mutable = c.mutable
		in := confextInput(c.mode, h, "a")
		in.WithoutWrites = true
		o := mustMerge(t, in).Overlays[0]
		if !slices.Equal(o.Sources, c.want) || o.TakesWrites() || o.Work != "" || o.MakeUpper {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestPlanMergeHostDirectory(t *testing.T) {
	for name, c := range map[string]struct {
		hierarchy extension.Hierarchy
		layers    string
		target    string
		backing   string
	}{
		"empty":          {extension.Hierarchy{Path: "/etc", Resolved: "/etc", Exists: true, Empty: true, Permissions: 0o755, Backing: "254:0"}, "/ws/a", "/sysroot/etc", ""},
		"missing":        {extension.Hierarchy{Path: "/etc", Resolved: "/etc", Empty: true, Permissions: 0o755}, "/ws/a", "/sysroot/etc", ""},
		"a link":         {extension.Hierarchy{Path: "/etc", Resolved: "/real/etc", Exists: true, Permissions: 0o751, Backing: "254:0"}, "/ws/a /sysroot/real/etc", "/sysroot/real/etc", "254:0"},
		"without device": {extension.Hierarchy{Path: "/etc", Resolved: "/etc", Exists: true, Permissions: 0o755}, "/ws/a /sysroot/etc", "/sysroot/etc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := mustMerge(t, confextInput("no", c.hierarchy, "a"))
			o := m.Overlays[0]
			if strings.Join(o.Layers, " ") != c.layers || o.Target != c.target || o.Backing != c.backing || o.Permissions != c.hierarchy.Permissions {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestPlanMergeBrokenHierarchy(t *testing.T) {
	broken := extension.Hierarchy{Path: "/etc", Resolved: "/etc", Empty: true, Permissions: 0o755, Problem: "it is not a directory"}
	if m := mustMerge(t, confextInput("no", broken)); len(m.Overlays) != 0 {
		t.Errorf("%+v", m)
	}
	for _, in := range []MergeInput{confextInput("no", broken, "a"), confextInput("auto", broken)} {
		if _, err := PlanMerge(in); err == nil || err.Error() != "merge confexts into /etc: it is not a directory" {
			t.Errorf("%v", err)
		}
	}
}

func TestPlanMergeHierarchiesOfSysexts(t *testing.T) {
	in := MergeInput{
		Class: osrelease.ClassSysext, Settings: extension.Settings{Mutable: "no"}, Host: testHost, RootPath: "/sysroot",
		Hierarchies: []extension.Hierarchy{
			{Path: "/usr", Resolved: "/usr", Exists: true, Permissions: 0o755, Backing: "254:1"},
			{Path: "/opt", Resolved: "/var/opt", Empty: true, Permissions: 0o755},
		},
		Candidates: []Candidate{directoryImage(osrelease.ClassSysext, "both"), directoryImage(osrelease.ClassSysext, "usr")},
	}
	delete(in.Candidates[1].Content, "/opt")
	m := mustMerge(t, in)
	if len(m.Overlays) != 2 {
		t.Fatalf("%+v", m.Overlays)
	}
	if got := strings.Join(m.Overlays[0].Layers, " "); got != "/ws/usr /ws/both /sysroot/usr" {
		t.Error(got)
	}
	if o := m.Overlays[1]; strings.Join(o.Layers, " ") != "/ws/bothx" || o.Target != "/sysroot/var/opt" || o.Backing != "" {
		t.Errorf("%+v", o)
	}
	// Nothing in /opt: it is not mounted, and does not matter.
	delete(in.Candidates[0].Content, "/opt")
	in.Hierarchies[1].Problem = "it is not a directory"
	if m := mustMerge(t, in); len(m.Overlays) != 1 || m.Overlays[0].Hierarchy != "/usr" {
		t.Errorf("%+v", m.Overlays)
	}
}

func TestPlanMergeLeavesOut(t *testing.T) {
	hash := make([]byte, 32)
	for name, c := range map[string]struct {
		change func(c *Candidate)
		reason string
	}{
		"problem":         {func(c *Candidate) { c.Problem = "block devices are not supported yet" }, "block devices are not supported yet"},
		"failure":         {func(c *Candidate) { c.Failure = "data block 0 does not match" }, "data block 0 does not match"},
		"problem first":   {func(c *Candidate) { c.Problem, c.Failure = "p", "f" }, "p"},
		"a mask":          {func(c *Candidate) { c.Release, c.NoRelease = nil, "it has no file x" }, "it has no file x"},
		"another system":  {func(c *Candidate) { c.Release = osrelease.Fields{"ID": "fedora"} }, "made for ID=fedora, the host is debian"},
		"another version": {func(c *Candidate) { c.Release = osrelease.Fields{"ID": "debian", "VERSION_ID": "13"} }, "made for VERSION_ID=13"},
		"empty release":   {func(c *Candidate) { c.Release = osrelease.Fields{} }, "no release file"},
	} {
		t.Run(name, func(t *testing.T) {
			in := confextInput("no", etc(), "good")
			bad := verityImage(osrelease.ClassConfext, "bad", hash)
			c.change(&bad)
			in.Candidates = append(in.Candidates, bad)
			m := mustMerge(t, in)
			if !slices.Equal(m.Names, []string{"good"}) || len(m.Overlays[0].Layers) != 2 {
				t.Errorf("%+v", m)
			}
			if strings.Contains(string(m.Origin), "bad") {
				t.Errorf("%s", m.Origin)
			}
			d := m.Decisions[0]
			if d.Name != "bad" || d.Accepted || !strings.Contains(d.Reason, c.reason) || d.Path != bad.Path || d.Class != osrelease.ClassConfext {
				t.Errorf("%+v", d)
			}
			// The same image, required.
			in.Required = []string{"good", "bad"}
			_, err := PlanMerge(in)
			var required *RequiredError
			if !errors.As(err, &required) || required.Name != "bad" || required.Path != bad.Path || !strings.Contains(required.Reason, c.reason) {
				t.Errorf("%v", err)
			}
			want := `required confext "bad" cannot be merged: ` + d.Reason + " (" + bad.Path + ")"
			if err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}

// With Mutable=auto and an empty /opt there would be nothing but metadata to show there.
func TestPlanMergeLeavesAnEmptyHierarchyAlone(t *testing.T) {
	in := MergeInput{
		Class: osrelease.ClassSysext, Settings: extension.Settings{Mutable: "auto"}, Host: testHost, RootPath: "/sysroot",
		Hierarchies: []extension.Hierarchy{
			{Path: "/usr", Resolved: "/usr", Exists: true, Permissions: 0o755},
			{Path: "/opt", Resolved: "/opt", Exists: true, Empty: true, Permissions: 0o755},
		},
		Candidates: []Candidate{directoryImage(osrelease.ClassSysext, "a")},
	}
	delete(in.Candidates[0].Content, "/opt")
	if m := mustMerge(t, in); len(m.Overlays) != 1 || m.Overlays[0].Hierarchy != "/usr" {
		t.Errorf("%+v", m.Overlays)
	}
	in.Candidates = nil
	if m := mustMerge(t, in); len(m.Overlays) != 1 || len(m.Names) != 0 {
		t.Errorf("%+v", m.Overlays)
	}
	in.Hierarchies[1].Mutable = &extension.MutableDirectory{Path: "/var/lib/extensions.mutable/opt"}
	if m := mustMerge(t, in); len(m.Overlays) != 2 || len(m.Overlays[1].Layers) != 0 || m.Overlays[1].Upper == "" {
		t.Errorf("%+v", m.Overlays)
	}
}

// Links to one directory would be the same layer twice, which the kernel refuses.
func TestPlanMergeLeavesOutTheSameDirectory(t *testing.T) {
	in := confextInput("no", etc(), "a", "b", "c", "d")
	for i := range in.Candidates {
		in.Candidates[i].Identity = extension.Identity{MountID: 1, Handle: []byte{1}}
	}
	// These are others: on another mount, or without a handle.
	in.Candidates[0].MountID = 2
	in.Candidates[1].Handle, in.Candidates[1].Inode = nil, 1
	in.Candidates = append(in.Candidates, verityImage(in.Class, "e", []byte{1}), verityImage(in.Class, "f", []byte{1}))
	m := mustMerge(t, in)
	if !slices.Equal(m.Names, []string{"a", "b", "d", "e", "f"}) {
		t.Errorf("%q", m.Names)
	}
	if d := m.Decisions[2]; d.Name != "c" || d.Accepted || d.Reason != `it is the same directory as "d"` {
		t.Errorf("%+v", d)
	}
}

func TestPlanMergeRequiredAndMissing(t *testing.T) {
	for _, c := range []struct {
		class osrelease.Class
		want  string
	}{
		{osrelease.ClassConfext, `required confext "gone" cannot be merged: it was not found in /run/confexts, /var/lib/confexts, /usr/local/lib/confexts, /usr/lib/confexts`},
		{osrelease.ClassSysext, `required sysext "gone" cannot be merged: it was not found in /etc/extensions, /run/extensions, /var/lib/extensions`},
	} {
		in := MergeInput{Class: c.class, Settings: extension.Settings{Mutable: "no"}, Host: testHost, Required: []string{"gone"}}
		if _, err := PlanMerge(in); err == nil || err.Error() != c.want {
			t.Errorf("%v", err)
		}
	}
	// What is required stands above what is set: the reason that can be mended is told.
	in := confextInput("yes", etc())
	in.Hierarchies[0].Mutable = &extension.MutableDirectory{Problem: "it is not a directory"}
	in.Required = []string{"gone"}
	var required *RequiredError
	if _, err := PlanMerge(in); !errors.As(err, &required) {
		t.Errorf("%v", err)
	}
	in = confextInput("no", etc(), "here")
	in.Required = []string{"here", "here"}
	mustMerge(t, in)
}

func TestPlanMergeSaysHowImagesAreProtected(t *testing.T) {
	hash := []byte{0xab, 0xcd}
	in := confextInput("no", etc(), "dir")
	signed := verityImage(in.Class, "signed", hash)
	signed.Signature = SignatureByUser
	plain := verityImage(in.Class, "plain", nil)
	plain.Dissected.Hash, plain.Use.Verity = nil, false
	in.Candidates = append(in.Candidates, signed, verityImage(in.Class, "unsigned", hash), plain)
	want := map[string][3]string{
		"dir": {"", "none", "none"}, "plain": {"", "none", "none"},
		"signed": {"abcd", "verity", "accepted by a certificate"}, "unsigned": {"abcd", "verity", "none"},
	}
	for _, d := range mustMerge(t, in).Decisions {
		if got := [3]string{d.RootHash, d.Protection, string(d.Signature)}; got != want[d.Name] {
			t.Errorf("%s: %q", d.Name, got)
		}
	}
}
