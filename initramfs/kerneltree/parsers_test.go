package kerneltree

import (
	"reflect"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"kernel/drivers/md/dm-mod.ko.xz", "dm_mod"},
		{"kernel/fs/erofs/erofs.ko", "erofs"},
		{"updates/dkms/some-driver.ko.zst", "some_driver"},
		{"extra/a.b.ko.gz", "a.b"},
		{"no-suffix", "no_suffix"},
		{"x.ko.lz4", "x.ko.lz4"},
	} {
		if got := NameOf(c.path); got != c.want {
			t.Errorf("NameOf(%q) = %q, want %q", c.path, got, c.want)
		}
	}
	for _, c := range []struct{ name, want string }{
		{"virtio_blk", "virtio_blk"},
		{"crypto-crc32c", "crypto_crc32c"},
		{"usb:v[0-9]-x*", "usb:v[0-9]_x*"},
		{"", ""},
		{"-[-]-", "_[-]_"},
	} {
		if got := Normalize(c.name); got != c.want {
			t.Errorf("Normalize(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestParseDependencies(t *testing.T) {
	text := "# comment\n" +
		"kernel/a/sd_mod.ko.xz: kernel/b/scsi_mod.ko.xz kernel/b/scsi_common.ko.xz\n\n" +
		"kernel/b/scsi_common.ko.xz:\n" +
		"kernel/b/scsi_mod.ko.xz: kernel/b/scsi_common.ko.xz\n"
	got, err := ParseDependencies([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Dependency{
		{Path: "kernel/a/sd_mod.ko.xz", Needs: []string{"kernel/b/scsi_mod.ko.xz", "kernel/b/scsi_common.ko.xz"}},
		{Path: "kernel/b/scsi_common.ko.xz", Needs: []string{}},
		{Path: "kernel/b/scsi_mod.ko.xz", Needs: []string{"kernel/b/scsi_common.ko.xz"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if empty, err := ParseDependencies(nil); err != nil || len(empty) != 0 {
		t.Errorf("empty text: %v, %v", empty, err)
	}
}

func TestParseDependenciesRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no colon", "kernel/a.ko\n", "line 1: no colon"},
		{"absolute", "/lib/modules/1/a.ko:\n", "not a path inside the tree"},
		{"outside", "../a.ko:\n", "not a path inside the tree"},
		{"outside further in", "kernel/../../a.ko:\n", "not a path inside the tree"},
		{"dependency outside", "a.ko: ../../../etc/passwd.ko\n", "not a path inside the tree"},
		{"no module", "kernel/readme.txt:\n", "not a module file"},
		{"suffix only", "kernel/.ko:\n", "not a module file"},
		{"space", "kernel/a b.ko:\n", "character"},
		{"empty path", ": a.ko\n", "not a path inside the tree"},
		{"two files", "x/a-b.ko:\n\ny/a_b.ko.xz:\n", "line 3: a second file for module a_b (first in line 1)"},
		{"unlisted", "a.ko: b.ko\n", "line 1: a.ko needs b.ko, which has no line"},
		{"same name elsewhere", "a.ko: y/b.ko\nx/b.ko:\n", "needs y/b.ko"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseDependencies([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestParseAliases(t *testing.T) {
	text := "# Aliases extracted from modules themselves.\n" +
		"alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n" +
		"alias fs-erofs erofs\n" +
		"options loop max_loop=8\n"
	got, err := ParseAliases([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Alias{{"pci:v00001AF4d*sv*sd*bc*sc*i*", "virtio_pci"}, {"fs-erofs", "erofs"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"alias", "alias x", "alias x y z"} {
		if _, err := ParseAliases([]byte("\n" + bad)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: got %v, want an error in line 2", bad, err)
		}
	}
}

func TestParseSoftDependencies(t *testing.T) {
	text := "# Soft dependencies extracted from modules themselves.\n" +
		"softdep libcrc32c pre: crc32c\n" +
		"softdep both pre: a b post: c pre: d\n" +
		"softdep cifs gcm\n" + // as Debian's modules.softdep has it
		"softdep vfio post: vfio_iommu_type1\n" +
		"softdep alone\n" +
		"weakdep x y\n"
	got, err := ParseSoftDependencies([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []SoftDependency{
		{Module: "libcrc32c", Before: []string{"crc32c"}},
		{Module: "both", Before: []string{"a", "b", "d"}, After: []string{"c"}},
		{Module: "vfio", After: []string{"vfio_iommu_type1"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := ParseSoftDependencies([]byte("softdep")); err == nil {
		t.Error("a line without a module was accepted")
	}
}

func TestParseBuiltIn(t *testing.T) {
	got := ParseBuiltIn([]byte("kernel/fs/ext4/ext4.ko\nkernel/crypto/crc32c-generic.ko\n\n"))
	if want := []string{"ext4", "crc32c_generic"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	aliases := ParseBuiltInAliases([]byte("ext4.license=GPL\x00ext4.alias=fs-ext3\x00.alias=x\x00a.alias=\x00junk\x00ext4.alias=ext2"))
	if want := []Alias{{"fs-ext3", "ext4"}, {"ext2", "ext4"}}; !reflect.DeepEqual(aliases, want) {
		t.Errorf("got %v, want %v", aliases, want)
	}
}

func TestResolve(t *testing.T) {
	x := NewIndex(
		[]Dependency{{Path: "k/dm-mod.ko"}, {Path: "k/crc32c-intel.ko"}, {Path: "k/crc32c-other.ko"}, {Path: "k/ext4.ko"}},
		[]Alias{{"crypto-crc32c", "crc32c_intel"}, {"crypto-crc32c", "crc32c-other"}, {"fs-gone", "gone"}, {"pci:*", "dm_mod"}},
		[]SoftDependency{{Module: "dm-mod", Before: []string{"a"}}, {Module: "dm_mod", Before: []string{"b"}, After: []string{"c"}}},
		[]string{"nvme", "ext4"},
		[]Alias{{"crypto-crc32c", "crc32c_generic"}, {"fs-vfat", "vfat"}})
	for _, c := range []struct {
		name string
		want Meaning
	}{
		{"dm-mod", Meaning{Modules: []string{"dm_mod"}}},
		{"dm_mod", Meaning{Modules: []string{"dm_mod"}}},
		{"nvme", Meaning{BuiltIn: true}},
		{"ext4", Meaning{Modules: []string{"ext4"}}},
		{"crypto-crc32c", Meaning{Modules: []string{"crc32c_intel", "crc32c_other"}, BuiltIn: true}},
		{"fs-vfat", Meaning{BuiltIn: true}},
		{"fs-gone", Meaning{}},
		{"pci:v1", Meaning{}},
		{"", Meaning{}},
	} {
		if got := x.Resolve(c.name); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Resolve(%q) = %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := x.SoftBefore("dm-mod"); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("SoftBefore = %v", got)
	}
	if _, found := x.Module("nosuch"); found {
		t.Error("a module that is not there was found")
	}
}
