package initramfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// buildDescribed builds with all kinds of entries, from a tree and into a folder of its own.
func buildDescribed(t *testing.T) (*Result, Options) {
	t.Helper()
	o := testOptions(t)
	o.Describe, o.ModifiedAt = true, 1700000000
	o.Conf = filepath.Join(t.TempDir(), "conf")
	writeFile(t, o.Conf, "[Verity]\n")
	o.Microcode = []string{filepath.Join(t.TempDir(), "microcode")}
	writeFile(t, o.Microcode[0], intelUpdate("x"))
	o.Includes = []Include{{o.Conf, "/opt/file"}}
	result, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	return result, o
}

// TestDescriptionsDoNotDependOnThePlace: image, manifest and SBOM of two folders are the same bytes.
func TestDescriptionsDoNotDependOnThePlace(t *testing.T) {
	_, one := buildDescribed(t)
	_, two := buildDescribed(t)
	for _, suffix := range []string{"", ManifestSuffix, SBOMSuffix} {
		a, err := os.ReadFile(one.Output + suffix)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(two.Output + suffix)
		if err != nil || string(a) != string(b) {
			t.Errorf("image%s differs (%v)", suffix, err)
		}
	}
}

func TestManifestSaysWhatIsThere(t *testing.T) {
	result, o := buildDescribed(t)
	m, err := ReadManifest(o.Output + ManifestSuffix)
	if err != nil {
		t.Fatal(err)
	}
	byPath := make(map[string]ManifestFile)
	for _, f := range m.Files {
		byPath[f.Path] = f
		if f.Reason == "" {
			t.Errorf("%s is there for no reason", f.Path)
		}
	}
	for path, want := range map[string]ManifestFile{
		"init":                                  {Mode: "100755", Size: 5022, Reason: "the program"},
		"etc/preroot.conf":                      {Mode: "100644", Size: 9, Reason: "settings"},
		"opt/file":                              {Mode: "100644", Size: 9, Reason: "included"},
		"opt":                                   {Mode: "40755", Reason: "included"},
		"dev/console":                           {Mode: "20600", Device: "5:1", Reason: "in every image"},
		"bin/verity":                            {Mode: "120777", Size: 5, Target: "/init", Reason: "in every image"},
		"kernel/x86/microcode/GenuineIntel.bin": {Mode: "100644", Size: 1024, Reason: "microcode"},
		"lib/modules/7.2.0-test/kernel/drivers/md/dm-mod.ko": {Mode: "100644", Size: int64(len(moduleContent("dm_mod"))), Reason: "needed by dm_verity"},
		"lib/modules/7.2.0-test/modules.dep":                 {Mode: "100644", Size: byPath["lib/modules/7.2.0-test/modules.dep"].Size, Reason: "index of the modules"},
	} {
		got := byPath[path]
		if isFile := strings.HasPrefix(want.Mode, "100"); isFile != (len(got.SHA256) == 64) {
			t.Errorf("%s: sha256 %q", path, got.SHA256)
		}
		got.Path, got.SHA256, got.Part = "", "", 0
		if got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	if sum := sha256.Sum256([]byte("[Verity]\n")); byPath["etc/preroot.conf"].SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the digest of the settings is wrong: %s", byPath["etc/preroot.conf"].SHA256)
	}
	if m.Kernel != testRelease || m.Arch != "amd64" || m.SourceDateEpoch != 1700000000 || !slices.Equal(m.BuiltIn, []string{"ext4", "nvme"}) ||
		m.Image.Size != result.Size || m.Image.Compression != CompressionZstd {
		t.Errorf("%+v", m)
	}
}

// TestSBOMIsWhole checks what SPDX 2.3 demands of a document: its fields, identifiers and that relations lead somewhere.
func TestSBOMIsWhole(t *testing.T) {
	result, o := buildDescribed(t)
	text, err := os.ReadFile(o.Output + SBOMSuffix)
	if err != nil {
		t.Fatal(err)
	}
	var d spdxDocument
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.Version != "SPDX-2.3" || d.DataLicense != "CC0-1.0" || d.ID != "SPDXRef-DOCUMENT" || d.Creation.Created != "2023-11-14T22:13:20Z" ||
		!strings.HasPrefix(d.Namespace, "https://") || !strings.Contains(d.Namespace, result.Manifest.Image.SHA256) {
		t.Errorf("%+v", d)
	}
	ids := map[string]bool{d.ID: true}
	identifier := regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`)
	note := func(id string) {
		if ids[id] || !identifier.MatchString(id) {
			t.Errorf("identifier %q is not one, or twice", id)
		}
		ids[id] = true
	}
	for _, p := range d.Packages {
		note(p.ID)
		if p.Name == "" || p.Location == "" || p.Concluded == "" || p.Declared == "" || p.Copyright == "" || p.FilesAnalyzed != (p.Verification != nil) {
			t.Errorf("package %+v", p)
		}
	}
	regular := 0
	for _, f := range d.Files {
		note(f.ID)
		if !strings.HasPrefix(f.Name, "./") || len(f.Checksums) != 2 || len(f.Checksums[0].Value) != 40 || len(f.Checksums[1].Value) != 64 {
			t.Errorf("file %+v", f)
		}
	}
	for _, f := range result.Manifest.Files {
		if f.IsRegular() {
			regular++
		}
	}
	if len(d.Files) != regular || len(d.Packages[0].Verification.Code) != 40 {
		t.Errorf("%d files of %d, %+v", len(d.Files), regular, d.Packages[0])
	}
	described := false
	for _, r := range d.Relationships {
		if !ids[r.From] || !ids[r.To] {
			t.Errorf("a relation to nothing: %+v", r)
		}
		described = described || r == spdxRelationship{d.ID, "DESCRIBES", "SPDXRef-Image"}
	}
	if !described {
		t.Error("the document describes nothing")
	}
	if !strings.Contains(string(text), `kernel module, needed by dm_verity; it states the licence \"GPL\"`) {
		t.Error("no licence of a module")
	}
}

func TestSBOMListsTheGoModules(t *testing.T) {
	d := &spdxDocument{}
	d.addModules(&debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: ourModule, Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "golang.org/x/sys", Version: "v0.49.0"}, {Path: "a/b_c", Version: "v1", Replace: &debug.Module{Path: "d/e", Version: "v2"}},
		},
	})
	var got []string
	for _, p := range d.Packages {
		line := p.ID + " " + p.Name + " " + p.Version + " " + p.Declared
		for _, r := range p.ExternalRefs {
			line += " " + r.Locator
		}
		got = append(got, line)
	}
	want := []string{
		"SPDXRef-Program github.com/preroot/preroot (devel) Apache-2.0",
		"SPDXRef-Go-std std 1.26.8 BSD-3-Clause",
		"SPDXRef-Go-golang.org-x-sys golang.org/x/sys v0.49.0 NOASSERTION pkg:golang/golang.org/x/sys@v0.49.0",
		"SPDXRef-Go-d-e d/e v2 NOASSERTION pkg:golang/d/e@v2",
	}
	if !slices.Equal(got, want) || len(d.Relationships) != 3 || d.Relationships[2] != (spdxRelationship{"SPDXRef-Program", "STATIC_LINK", "SPDXRef-Go-d-e"}) {
		t.Errorf("got\n%s\n%v", strings.Join(got, "\n"), d.Relationships)
	}
	// The program of a real build is read: this test is one.
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d = &spdxDocument{}
	d.addProgram(own)
	if len(d.Packages) < 2 || d.Packages[0].Name != ourModule || d.Packages[1].Name != "std" {
		t.Errorf("of this test: %+v", d.Packages)
	}
}

func TestCompareFiles(t *testing.T) {
	a := []ManifestFile{{Path: "a", Mode: "100644", SHA256: "1"}, {Path: "b", Mode: "40755"}, {Path: "b", Mode: "40755"}, {Path: "l", Mode: "120777", Target: "x"}}
	b := []ManifestFile{{Path: "a", Mode: "100600", SHA256: "2"}, {Path: "b", Mode: "40755"}, {Path: "l", Mode: "120777"}, {Path: "new", Mode: "40755"}}
	want := []string{
		"added: b", "changed: a: mode 100644 instead of 100600, sha256 1 instead of 2", "changed: l: target x instead of none", "missing: new",
	}
	if got := CompareFiles(a, b); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := CompareFiles(a, a); got != nil {
		t.Errorf("of itself: %q", got)
	}
	m := &Manifest{Image: ImageFacts{SHA256: "1"}, Files: a}
	if got := CompareImage(ImageFacts{SHA256: "2"}, a, m); len(got) != 1 || !strings.HasPrefix(got[0], "the same files, but packed") {
		t.Errorf("packed anew: %q", got)
	}
}

func TestManifestRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "it is no manifest"}, {"[]", "it is no manifest"}, {"{}", `no manifest of a known format, but ""`},
		{`{"format":"preroot-manifest-2"}`, `but "preroot-manifest-2"`}, {`{"format":"preroot-manifest-1"}`, "lists no file"},
	} {
		if _, err := ParseManifest([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v", test.text, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"format":"preroot-manifest-1","files":[{"path":"a"},{"path":"a"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err != nil {
			return
		}
		if got := CompareFiles(m.Files, m.Files); len(got) != 0 {
			t.Fatalf("it differs from itself: %q", got)
		}
	})
}

// TestStopLeavesNothing ends a build before, and in the middle of, packing.
func TestStopLeavesNothing(t *testing.T) {
	for name, program := range map[string]string{"before": "", "in the middle": script(t, "exec sleep 100")} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			o.Describe = true
			if program != "" {
				o.Compressor = []string{program}
			}
			writeFile(t, o.Output, "earlier image")
			why := errors.New("somebody said so")
			stop, end := context.WithCancelCause(t.Context())
			if program == "" {
				end(why)
			} else {
				time.AfterFunc(50*time.Millisecond, func() { end(why) })
			}
			o.Stop = stop
			began := time.Now()
			if _, err := Build(o); !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %v", took)
			}
			checkUntouched(t, o.Output)
		})
	}
}

// TestProgressReachesTheEnd: a person sees 100 %, and never more than was promised by much.
func TestProgressReachesTheEnd(t *testing.T) {
	o := testOptions(t)
	var last, total int64
	o.Progress = func(done, of int64) { last, total = done, of }
	result, err := Build(o)
	if err != nil || last != result.RawSize || total < result.RawSize*9/10 || total > result.RawSize {
		t.Errorf("%d of %d, %d bytes, %v", last, total, result.RawSize, err)
	}
}
