package plan

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
)

// What systemd 262 wrote, in a guest or on a host, for the images named in it.
const (
	// systemd-confext --root=/sysroot refresh on ext4; mode no.
	capturedReadOnly = `{
	"mutable" : {
		"mode" : "no"
	},
	"extensions" : {
		"uns" : {
			"path" : "/var/lib/confexts/uns.raw",
			"verityHash" : "1a2663d75c97d6802113d479f493c25b4420a76d14995262f7867fe4ff9026ff"
		},
		"dirext" : {
			"path" : "/var/lib/confexts/dirext",
			"onMountId" : 2147483680,
			"fileHandle" : {
				"type" : 1,
				"handle" : "910f000000000000"
			},
			"crtime" : 1795408892000000,
			"mtime" : 0
		},
		"plain" : {
			"path" : "/var/lib/confexts/plain.raw",
			"onMountId" : 2147483680,
			"fileHandle" : {
				"type" : 1,
				"handle" : "960f000000000000"
			},
			"crtime" : 1795408892000000,
			"mtime" : 1795408890000000
		}
	}
}
`
	// A booted system with /var/lib/extensions.mutable/etc a link to /etc.
	capturedWritable = `{
	"mutable" : {
		"mode" : "auto",
		"mutableDirs" : {
			"/etc" : "/etc"
		}
	},
	"extensions" : {
		"user" : {
			"path" : "/var/lib/confexts/user.raw",
			"verityHash" : "7f1d47663b3fafbf51f10a4908508abc499b73ed5efdc2da013f9e30260e0feb"
		},
		"00-default" : {
			"path" : "/usr/lib/confexts/00-default.raw",
			"verityHash" : "9c421b142e46b418fd8a6a8043da054bda9a80c84ec6abbb8f2dcd12627ba87f"
		}
	}
}
`
	// Mode yes and no extension.
	capturedNothing = `{
	"mutable" : {
		"mode" : "yes",
		"mutableDirs" : {
			"/etc" : "/var/lib/extensions.mutable/etc"
		}
	}
}
`
)

// decode reads JSON as systemd compares it: numbers by value, objects as sets.
func decode(t *testing.T, text []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if decoder.More() {
		t.Errorf("more than one value in %s", text)
	}
	return value
}

func equalJSON(a, b any) bool { return reflect.DeepEqual(a, b) }

func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

func TestOriginIsTheValueThatSystemdWrote(t *testing.T) {
	image := func(name, path, rootHash, handle string, created, modified uint64) Candidate {
		c := directoryImage(osrelease.ClassConfext, name)
		c.Path = path
		c.Identity = extension.Identity{MountID: 2147483680, HandleType: 1, Handle: unhex(handle), CreatedUSec: created, ModifiedUSec: modified}
		if rootHash != "" || modified != 0 {
			c.Type, c.Dissected = extension.Raw, &ddi.Image{RootHash: unhex(rootHash)}
		}
		return c
	}
	readOnly := confextInput("no", etc())
	readOnly.Candidates = []Candidate{
		image("plain", "/var/lib/confexts/plain.raw", "", "960f000000000000", 1795408892000000, 1795408890000000),
		image("dirext", "/var/lib/confexts/dirext", "", "910f000000000000", 1795408892000000, 0),
		// What identifies the file plays no role beside a root hash.
		image("uns", "/var/lib/confexts/uns.raw", "1a2663d75c97d6802113d479f493c25b4420a76d14995262f7867fe4ff9026ff", "aa", 5, 6),
		{Image: extension.Image{Name: "left-out", Path: "/var/lib/confexts/left-out", Problem: "x"}},
	}
	hierarchy := etc()
	hierarchy.Mutable = &extension.MutableDirectory{Path: "/etc", IsHost: true}
	writable := confextInput("auto", hierarchy)
	writable.Candidates = []Candidate{
		image("user", "/var/lib/confexts/user.raw", "7f1d47663b3fafbf51f10a4908508abc499b73ed5efdc2da013f9e30260e0feb", "", 0, 0),
		image("00-default", "/usr/lib/confexts/00-default.raw", "9c421b142e46b418fd8a6a8043da054bda9a80c84ec6abbb8f2dcd12627ba87f", "", 0, 0),
	}
	hierarchy.Mutable = &extension.MutableDirectory{Path: "/var/lib/extensions.mutable/etc"}
	nothing := confextInput("yes", hierarchy)
	for name, c := range map[string]struct {
		in   MergeInput
		want string
	}{
		"read-only": {readOnly, capturedReadOnly}, "writable": {writable, capturedWritable}, "no extension": {nothing, capturedNothing},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustMerge(t, c.in).Origin
			if !equalJSON(decode(t, got), decode(t, []byte(c.want))) {
				t.Errorf("%s\nis not\n%s", got, c.want)
			}
			if !bytes.HasSuffix(got, []byte("}\n")) {
				t.Errorf("%q has no final newline", got)
			}
		})
	}
}

func TestOriginMembersOfAnEntry(t *testing.T) {
	withHandle := directoryImage(osrelease.ClassConfext, "x")
	withHandle.HandleType, withHandle.Handle, withHandle.Inode = -2, unhex("00ff"), 77
	withoutHandle := directoryImage(osrelease.ClassConfext, "x")
	withoutHandle.Handle, withoutHandle.Inode = nil, 1<<63
	withoutTimes := withHandle
	withoutTimes.CreatedUSec, withoutTimes.MountID = 0, 1<<63+1
	bare := withHandle
	bare.Dissected = &ddi.Image{}
	odd := withHandle
	odd.Path = "/var/lib/confexts/<a&b>\"\\\n\u2028ü"
	bare.Handle = unhex("00ff")
	for name, c := range map[string]struct {
		image Candidate
		want  string
	}{
		"file handle":         {withHandle, `{"path":"/var/lib/confexts/x","onMountId":2147483680,"fileHandle":{"type":-2,"handle":"00ff"},"crtime":3,"mtime":0}`},
		"inode":               {withoutHandle, `{"path":"/var/lib/confexts/x","onMountId":2147483680,"inode":9223372036854775808,"crtime":3,"mtime":0}`},
		"zeros are written":   {withoutTimes, `{"path":"/var/lib/confexts/x","onMountId":9223372036854775809,"fileHandle":{"type":-2,"handle":"00ff"},"crtime":0,"mtime":0}`},
		"image without hash":  {bare, `{"path":"/var/lib/confexts/x","onMountId":2147483680,"fileHandle":{"type":-2,"handle":"00ff"},"crtime":3,"mtime":0}`},
		"image with hash":     {verityImage(osrelease.ClassConfext, "x", []byte{0xab}), `{"path":"/var/lib/confexts/x.raw","verityHash":"ab"}`},
		"characters in paths": {odd, `{"path":"/var/lib/confexts/<a&b>\"\\\n` + "\u2028ü" + `","onMountId":2147483680,"fileHandle":{"type":-2,"handle":"00ff"},"crtime":3,"mtime":0}`},
	} {
		t.Run(name, func(t *testing.T) {
			in := confextInput("no", etc())
			in.Candidates = []Candidate{c.image}
			text := mustMerge(t, in).Origin
			want := map[string]any{
				"mutable":    map[string]any{"mode": "no"},
				"extensions": map[string]any{"x": decode(t, []byte(c.want))},
			}
			if !equalJSON(decode(t, text), want) {
				t.Errorf("%s\nwant %s", text, c.want)
			}
		})
	}
}

func TestOriginIsTheSameInAllHierarchies(t *testing.T) {
	mutable := func(path string) *extension.MutableDirectory { return &extension.MutableDirectory{Path: path} }
	in := MergeInput{
		Class: osrelease.ClassSysext, Settings: extension.Settings{Mutable: "auto"}, Host: testHost, RootPath: "/sysroot",
		Hierarchies: []extension.Hierarchy{
			{Path: "/usr", Resolved: "/usr", Exists: true, Permissions: 0o755, Mutable: mutable("/var/lib/extensions.mutable/usr")},
			{Path: "/opt", Resolved: "/opt", Exists: true, Permissions: 0o755, Mutable: mutable("/o")},
		},
		Candidates: []Candidate{verityImage(osrelease.ClassSysext, "s", []byte{1})},
	}
	m := mustMerge(t, in)
	want := `{"mutable":{"mode":"auto","mutableDirs":{"/usr":"/var/lib/extensions.mutable/usr","/opt":"/o"}},` +
		`"extensions":{"s":{"path":"/var/lib/sysexts/s.raw","verityHash":"01"}}}`
	if !equalJSON(decode(t, m.Origin), decode(t, []byte(want))) || len(m.Overlays) != 2 {
		t.Errorf("%s", m.Origin)
	}
	if m.Overlays[0].WorkInside != "var/lib/extensions.mutable/.systemd-usr-workdir" || m.Overlays[1].WorkInside != ".systemd-opt-workdir" {
		t.Errorf("%+v", m.Overlays)
	}
	in.Hierarchies[1].Mutable = nil
	if m = mustMerge(t, in); equalJSON(decode(t, m.Origin), decode(t, []byte(want))) || bytes.Contains(m.Origin, []byte("/opt")) {
		t.Errorf("%s", m.Origin)
	}
}
