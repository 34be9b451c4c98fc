package bootreport

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample has something in every field.
func sample() *Report {
	return &Report{
		Version: 1, Profile: "sealed", Versions: Versions{Preroot: "(devel)", Go: "go1.26"}, Kernel: "7.2.12", CommandLine: "root=PARTUUID=1 quiet",
		StartedMS: 1304.25, EndedMS: 1804.75, UserMS: 30.5, KernelMS: 120.25,
		Steps: []Step{
			{Name: "find devices", StartMS: 1310, EndMS: 1410.5, DurationMS: 100.5, UserMS: 2.5, KernelMS: 40},
			{Name: "open /usr", StartMS: 1410.5, EndMS: 1413.5, DurationMS: 3, Error: "no such device"},
		},
		Modules: []Module{{Name: "virtio_blk", Reason: "device virtio:d00000002v00001AF4", LoadMS: 12.5}},
		Devices: []Device{
			{Use: "data of /usr", Node: "/dev/vda1", Disk: "vda", Selector: "PARTUUID=11111111-1111-1111-1111-111111111111", Reason: "first half of usrhash=; the first one found", Others: 2},
			{Use: "root", Node: "/dev/vdb", Selector: "LABEL=ROOT", Reason: "root="},
		},
		Usr:      &Usr{Source: "verity", Verified: true, Data: "/dev/vda1", Hash: "/dev/vda2", RootHash: "ab12", RootHashFrom: "usrhash= on the kernel command line", Algorithm: "sha256", UUID: "CRYPT-VERITY-1-usr", FileSystem: "erofs", Signature: "accepted by the kernel", SignatureFrom: "/dev/vda3"},
		Root:     &Root{Device: "/dev/vda3", FileSystem: "ext4"},
		Merges:   []Merge{{Class: "confext", Mutable: "auto", Hierarchies: []string{"/etc"}, Decisions: []Decision{{Name: "user", Path: "/var/lib/confexts/user.raw", Accepted: true, Reason: "it fits", RootHash: "cd34", Protection: "verity", Signature: "not checked"}, {Name: "bad", Path: "/x", Reason: "another ID"}}}},
		MountIDs: map[string]uint64{"/etc": math.MaxUint64, "/usr": 2147483809},
		Handover: &Handover{Way: "pivot_root", LeftOver: []string{}, Init: "/sbin/init", HelperMounts: []string{}, MemoryUsedKiB: 123456},
		Warnings: []string{"beware"},
	}
}

func TestWriteAndRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run/preroot/report.json")
	want := sample()
	// Twice: the second one replaces the first.
	for _, failure := range []string{"a longer text than the next one has", "no init"} {
		want.Failure = failure
		if err := want.Write(file); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
		if !strings.HasSuffix(string(text), "}\n") {
			t.Errorf("ends with %q", text[len(text)-5:])
		}
	}
	names, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(names) != 1 {
		t.Errorf("left in the folder: %v, %v", names, err)
	}
}

func TestWriteWhereNothingCanBeWritten(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sample().Write(blocked + "/report.json"); err == nil {
		t.Error("written below a file")
	}
}

// TestLayout: what readers outside of preroot look for. A change here is a new
// version.
func TestLayout(t *testing.T) {
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"version":1,"profile":"sealed","versions":{"preroot":"(devel)","go":"go1.26"},"kernel":"7.2.12","commandLine":"root=PARTUUID=1 quiet","startedMs":1304.25,"endedMs":1804.75,"userMs":30.5,"kernelMs":120.25,`,
		`"steps":[{"name":"find devices","startMs":1310,"endMs":1410.5,"durationMs":100.5,"userMs":2.5,"kernelMs":40},{"name":"open /usr","startMs":1410.5,"endMs":1413.5,"durationMs":3,"userMs":0,"kernelMs":0,"error":"no such device"}]`,
		`"modules":[{"name":"virtio_blk","reason":"device virtio:d00000002v00001AF4","loadMs":12.5}]`,
		`"usr":{"source":"verity","verified":true,"data":"/dev/vda1","hash":"/dev/vda2","rootHash":"ab12","rootHashFrom":"usrhash= on the kernel command line","algorithm":"sha256","uuid":"CRYPT-VERITY-1-usr","fileSystem":"erofs","signature":"accepted by the kernel","signatureFrom":"/dev/vda3"}`,
		`{"use":"data of /usr","node":"/dev/vda1","disk":"vda","selector":"PARTUUID=11111111-1111-1111-1111-111111111111","reason":"first half of usrhash=; the first one found","others":2},{"use":"root","node":"/dev/vdb","selector"`,
		`"root":{"device":"/dev/vda3","fileSystem":"ext4"}`,
		`"merges":[{"class":"confext","mutable":"auto","decisions":[{"name":"user","path":"/var/lib/confexts/user.raw","accepted":true,"reason":"it fits","rootHash":"cd34","protection":"verity","signature":"not checked"},`,
		`"hierarchies":["/etc"]`,
		`"mountIds":{"/etc":18446744073709551615,"/usr":2147483809}`,
		`"handover":{"way":"pivot_root","leftOver":[],"init":"/sbin/init","helperMounts":[],"memoryUsedKiB":123456}`,
		`"warnings":["beware"]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestAFreshReportHasEmptyListsAndNoNulls(t *testing.T) {
	text, err := json.Marshal(New("7.2.12", "quiet", "sealed"))
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("%s, %v", text, err)
	}
	for _, want := range []string{`"steps":[]`, `"modules":[]`, `"devices":[]`, `"merges":[]`, `"warnings":[]`, `"mountIds":{}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	for _, none := range []string{`"usr"`, `"root"`, `"handover"`, `"failure"`} {
		if strings.Contains(string(text), none) {
			t.Errorf("%s in %s", none, text)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "ends too early",
		"null":                              "not an object",
		"{}":                                "version 0",
		`{"version":2}`:                     "version 2",
		`{"version":-1}`:                    "version -1",
		`{"version":1} x`:                   "text goes on behind",
		`{"version":"1"}`:                   "member version is not a whole number",
		`{"version":1,"steps":[1]}`:         "member steps is not an array of objects",
		`{"version":1,"warnings":[1]}`:      "member warnings is not an array of strings",
		`[]`:                                "not an object",
		`{"version":1,"mountIds":{"a":-1}}`: "mountIds",
		`{"version":1,"startedMs":1e999}`:   "startedMs",
	} {
		if r, err := Read([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "read report: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", text, r, err, want)
		}
	}
	// Fields of later versions that nobody must know about.
	if _, err := Read([]byte(`{"version":1,"somethingNew":{"a":[1]}}`)); err != nil {
		t.Error(err)
	}
}

func TestStepsAreTimed(t *testing.T) {
	r := New("", "", "")
	end := r.Begin("first")
	time.Sleep(20 * time.Millisecond)
	end(nil)
	r.Begin("second")(errors.New("reason"))
	r.AddModule("overlay", "needed", 12345678*time.Nanosecond)
	r.End()
	if len(r.Steps) != 2 || r.Steps[0].Name != "first" || r.Steps[0].Error != "" || r.Steps[1].Error != "reason" {
		t.Fatalf("%+v", r.Steps)
	}
	first, second := r.Steps[0], r.Steps[1]
	if first.StartMS < r.StartedMS || first.DurationMS < 19 || second.StartMS < first.StartMS+19 || second.DurationMS < 0 || r.EndedMS < second.StartMS {
		t.Errorf("%+v from %v to %v", r.Steps, r.StartedMS, r.EndedMS)
	}
	if r.Modules[0] != (Module{"overlay", "needed", 12.35}) {
		t.Errorf("%+v", r.Modules)
	}
	if r.UserMS < 0 || r.KernelMS < 0 {
		t.Errorf("processor time %v, %v", r.UserMS, r.KernelMS)
	}
}

func TestRounding(t *testing.T) {
	for ms, want := range map[float64]float64{0: 0, 0.004: 0, 0.005: 0.01, 12.3456: 12.35, 1e6: 1e6} {
		if got := round(ms); got != want {
			t.Errorf("%v: %v, want %v", ms, got, want)
		}
	}
}
