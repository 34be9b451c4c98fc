package kernelmodules

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const release = "7.2.0-test"

// makeTree writes indexes and module files, whose content is their name.
func makeTree(t testing.TB, indexes map[string]string, modules ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	directory := filepath.Join(root, "lib/modules", release)
	files := map[string]string{}
	for name, text := range indexes {
		files[filepath.Join(directory, name)] = text
	}
	for _, module := range modules {
		if filepath.IsAbs(module) {
			files[filepath.Join(root, module)] = ModuleName(module)
		} else {
			files[filepath.Join(directory, module)] = ModuleName(module)
		}
	}
	for file, text := range files {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func readIndex(t testing.TB, indexes map[string]string) *Index {
	t.Helper()
	x, err := ReadIndex(makeTree(t, indexes), release)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestReadIndex(t *testing.T) {
	x := readIndex(t, map[string]string{
		"modules.dep": "kernel/drivers/md/dm-verity.ko: kernel/drivers/md/dm-bufio.ko kernel/drivers/md/dm-mod.ko\n" +
			"kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko\n" +
			"kernel/drivers/md/dm-mod.ko:\n" +
			"# a comment\n\n  kernel/fs/overlayfs/overlay.ko.xz :  \n" +
			"no colon\n: kernel/fs/nothing.ko\n/updates/own.ko:\n",
		"modules.builtin": "kernel/fs/ext4/ext4.ko\nkernel/drivers/scsi/sd_mod.ko\n",
		"modules.softdep": "softdep dm_verity pre: dm-bufio post: overlay\nsoftdep overlay post: dm-mod\nsoftdep overlay\nsoftdep overlay dm-mod\nother dm_mod pre: overlay\n",
		"modules.alias":   "alias fs-overlay overlay\nalias short\nalias too many words\nother fs-x overlay\n",
	})
	for name, want := range map[string][2]bool{ // has, is loadable
		"dm_verity": {true, true}, "dm-verity": {true, true}, "overlay": {true, true}, "own": {true, true},
		"ext4": {true, false}, "sd-mod": {true, false}, "nothing": {false, false}, "": {false, false}, ".": {false, false},
		"no colon": {false, false},
	} {
		if has, loadable := x.Has(name), x.IsLoadable(name); has != want[0] || loadable != want[1] {
			t.Errorf("%q: has %v, loadable %v; want %v", name, has, loadable, want)
		}
	}
	if got := x.dependencies["dm_verity"]; !slices.Equal(got, []string{"dm_bufio", "dm_mod"}) {
		t.Errorf("dm_verity needs %q", got)
	}
	if got := x.before["dm_verity"]; !slices.Equal(got, []string{"dm_bufio"}) || len(x.before) != 1 {
		t.Errorf("wanted before: %q", x.before)
	}
	for name, want := range map[string]string{
		"dm_mod": filepath.Join(x.directory, "kernel/drivers/md/dm-mod.ko"), "own": filepath.Join(x.root, "updates/own.ko"), "ext4": "",
	} {
		if got := x.file(name); got != want {
			t.Errorf("file of %s: %s, want %s", name, got, want)
		}
	}
	if got := x.Match("fs-overlay"); !slices.Equal(got, []string{"overlay"}) || len(x.aliases) != 1 {
		t.Errorf("fs-overlay: %q", got)
	}
}

func TestReadIndexOfAKernelWithoutModules(t *testing.T) {
	x, err := ReadIndex(t.TempDir(), release)
	if err != nil || x.Has("ext4") || x.Match("pci:x") != nil {
		t.Errorf("%+v, %v", x, err)
	}
	root := makeTree(t, nil)
	if err := os.MkdirAll(filepath.Join(root, "lib/modules", release, "modules.dep"), 0o755); err != nil {
		t.Fatal(err)
	}
	if x, err := ReadIndex(root, release); err == nil || !strings.HasPrefix(err.Error(), "read module index: ") {
		t.Errorf("%+v, %v", x, err)
	}
}

func TestSoftDependenciesMayBeAliases(t *testing.T) {
	x := readIndex(t, map[string]string{
		"modules.dep":     "libcrc32c.ko:\ncrc32c-intel.ko:\ncrc32c_generic.ko:\nbtrfs.ko: libcrc32c.ko\n",
		"modules.builtin": "sha256_generic.ko\nxxhash.ko\n",
		"modules.alias":   "alias crc32c crc32c_intel\nalias crc32c crc32c-generic\nalias crypto-crc32c crc32c_intel\n",
		"modules.softdep": "softdep libcrc32c pre: crc32c\nsoftdep btrfs pre: sha256 xxhash crypto_crc32c nosuchalias\n",
	})
	if got := x.before["libcrc32c"]; !slices.Equal(got, []string{"crc32c_intel", "crc32c_generic"}) {
		t.Errorf("before libcrc32c: %q", got)
	}
	if got := x.before["btrfs"]; !slices.Equal(got, []string{"crc32c_intel"}) {
		t.Errorf("before btrfs: %q", got)
	}
}

func TestCirclesAreCut(t *testing.T) {
	x := readIndex(t, map[string]string{
		"modules.dep": "a.ko: b.ko\nb.ko: c.ko\nc.ko: a.ko\nself.ko: self.ko\nd.ko:\ne.ko: d.ko\n",
		// d would like e, which needs d; and each of f and g would like the other.
		"modules.softdep": "softdep d pre: e\nsoftdep a pre: a\n",
	})
	for name, want := range map[string][]string{"a": {"b"}, "b": {"c"}, "c": nil, "self": nil, "e": {"d"}} {
		if got := x.dependencies[name]; !slices.Equal(got, want) {
			t.Errorf("%s needs %q, want %q", name, got, want)
		}
	}
	if len(x.before) != 0 {
		t.Errorf("wanted before: %q", x.before)
	}
	x = readIndex(t, map[string]string{
		"modules.dep": "f.ko:\ng.ko:\n", "modules.softdep": "softdep f pre: g\nsoftdep g pre: f\n"})
	if want := map[string][]string{"f": {"g"}}; !reflect.DeepEqual(x.before, want) {
		t.Errorf("wanted before: %q", x.before)
	}
}

func TestMatch(t *testing.T) {
	x := readIndex(t, map[string]string{
		"modules.dep": "virtio_blk.ko:\nvirtio_pci.ko:\nahci.ko:\nboard.ko:\nusb-storage.ko:\nslash.ko:\nbad.ko:\ni2c-designware.ko:\n",
		"modules.alias": strings.Join([]string{
			"alias virtio:d00000002v* virtio_blk",
			"alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci",
			"alias pci:v*d*sv*sd*bc01sc06i01* ahci",
			"alias pci:v00001AF4d00001001sv*sd*bc*sc*i* virtio_pci", // the same module once more
			"alias usb:v0781p55[4-9a-f]?d*dc*dsc*dp*ic*isc*ip*in* usb-storage",
			"alias dmi:bvn*:svnAcme*:pn* board",
			"alias of:N*T*Cfoo,i2c-bar slash",
			"alias of:N*T*Cx/y* slash",
			"alias bad[ bad",
			`alias bad\ bad`,
			"alias platform:i2c_designware i2c-designware",
			"alias missing:* not_in_this_image",
		}, "\n"),
	})
	for modalias, want := range map[string][]string{
		"virtio:d00000002v00001AF4":                                {"virtio_blk"},
		"virtio:d00000003v00001AF4":                                nil,
		"pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00":    {"virtio_pci"},
		"pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01":    {"ahci"},
		"pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc06i01":    {"virtio_pci", "ahci"},
		"usb:v0781p5567d0100dc00dsc00dp00ic08isc06ip50in00":        {"usb_storage"},
		"usb:v0781p5537d0100dc00dsc00dp00ic08isc06ip50in00":        nil,
		"dmi:bvnAcme:bvr1.0:bd01/02/2026:svnAcmeInc:pnBoard/1:pvr": {"board"},
		"dmi:bvnAcme:bvr1.0:bd01/02/2026:svnOther:pnBoard/1:pvr":   nil,
		"of:Ngpio/xT<NULL>Cfoo,i2c-bar":                            {"slash"},
		"of:NgT<NULL>Cfoo,i2c_bar":                                 {"slash"},
		"of:NgT<NULL>Cx/y/z":                                       {"slash"},
		"platform:i2c-designware":                                  {"i2c_designware"},
		"missing:x":                                                nil,
		"bad[":                                                     nil,
		`bad\`:                                                     nil,
		"":                                                         nil,
		"pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00\nx": {"virtio_pci"},
		"acpi:PNP0A08:PNP0A03:":                                    nil,
		"*":                                                        nil,
		"pci:v*":                                                   nil,
		"virtio:d00000002v00001AF4/with/slashes/that/mean/nothing/here": {"virtio_blk"},
	} {
		if got := x.Match(modalias); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", modalias, got, want)
		}
	}
}

func TestModuleName(t *testing.T) {
	for file, want := range map[string]string{
		"kernel/drivers/md/dm-mod.ko.xz": "dm_mod", "overlay.ko": "overlay", "dm-verity": "dm_verity", "/a/b.ko.zst": "b",
		"": ".", "/": "/", ".ko": ".ko", "a/": "a",
	} {
		if got := ModuleName(file); got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}

func FuzzIndex(f *testing.F) {
	f.Add("a.ko: b.ko\nb.ko: a.ko\n", "alias x[0-9]* a\n", "softdep a pre: b x1 post: c\n", "c.ko\n", "x1")
	f.Add(":\n: :\na.ko: a.ko\n/\n..\n", "alias [ a\nalias \\ a", "softdep a pre: a\nsoftdep a pre: pre:", "\x00", "[")
	f.Add("a.ko:\n\xff.ko: a.ko", "alias \xff* \xff\nalias [a-]* a", "", "", "\xff/")
	f.Fuzz(func(t *testing.T, dep, aliases, soft, builtin, modalias string) {
		x := parseIndex("/root", "/root/lib/modules/1", texts{dep, aliases, soft, builtin})
		for _, name := range x.Match(modalias) {
			if !x.IsLoadable(name) {
				t.Errorf("%q matches %q, which cannot be loaded", modalias, name)
			}
		}
		for name := range x.files {
			if x.file(name) == "" || !strings.HasPrefix(x.file(name), x.root) && !strings.Contains(dep, "..") {
				t.Errorf("%q lies at %q", name, x.file(name))
			}
			for _, list := range [][]string{x.dependencies[name], x.before[name]} {
				for _, next := range list {
					if x.leads(next, name) {
						t.Errorf("%q needs %q, which needs it", name, next)
					}
				}
			}
		}
	})
}

// FuzzAlias compares a pattern without wildcards with plain text.
func FuzzAlias(f *testing.F) {
	f.Add("platform:a-b", "platform:a_b")
	f.Add("a[", "a[")
	f.Add("pci:v*", "pci:v1/2")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		got := newAlias(pattern, "m").matches(canonical(text))
		if !strings.ContainsAny(pattern, `*?[\`) && got != (canonical(pattern) == canonical(text)) {
			t.Errorf("%q and %q: %v", pattern, text, got)
		}
		if star := newAlias(canonical(text[:len(text)/2])+"*", "m"); !strings.ContainsAny(text, `*?[\`) && !star.matches(canonical(text)) {
			t.Errorf("%+v does not match %q", star, text)
		}
	})
}
