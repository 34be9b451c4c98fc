package kerneltree_test

import (
	"debug/elf"
	"reflect"
	"testing"

	"github.com/preroot/preroot/initramfs/kerneltree"
	"github.com/preroot/preroot/initramfs/kerneltree/kerneltreetest"
)

func TestReadModuleInfo(t *testing.T) {
	module := kerneltreetest.Module("7.2.0", elf.EM_AARCH64, "license=GPL v2", "firmware=a/b.bin", "firmware=", "firmware=c.bin")
	got, err := kerneltree.ReadModuleInfo(module)
	want := kerneltree.ModuleInfo{Release: "7.2.0", Machine: elf.EM_AARCH64, Signed: true, License: "GPL v2", Firmware: []string{"a/b.bin", "c.bin"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = kerneltree.ReadModuleInfo(module[:len(module)-len(kerneltreetest.Signature)])
	if err != nil || got.Signed {
		t.Errorf("without a signature: %+v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, []byte("text"), module[:100], module[:64]} {
		if got, err := kerneltree.ReadModuleInfo(bad); err == nil {
			t.Errorf("%d bytes: %+v", len(bad), got)
		}
	}
}

func FuzzReadModuleInfo(f *testing.F) {
	f.Add(kerneltreetest.Module("7.2.0", elf.EM_X86_64, "license=GPL"))
	f.Fuzz(func(t *testing.T, module []byte) {
		if info, err := kerneltree.ReadModuleInfo(module); err == nil && info.Release == "" {
			t.Fatal("no release")
		}
	})
}

func TestConfig(t *testing.T) {
	c := kerneltree.ParseConfig([]byte("# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=m\nCONFIG_D=\"x=y\"\nOTHER=y\nCONFIG_E\n"))
	want := kerneltree.Config{"CONFIG_B": "y", "CONFIG_C": "m", "CONFIG_D": `"x=y"`}
	if !reflect.DeepEqual(c, want) || !c.IsSet("CONFIG_B") || !c.IsSet("CONFIG_C") || c.IsSet("CONFIG_A") || c.IsSet("CONFIG_D") {
		t.Errorf("%v", c)
	}
}

func TestBlacklist(t *testing.T) {
	b := make(kerneltree.Blacklist)
	b.AddModprobe([]byte("# blacklist a\nblacklist b-c\ninstall d /bin/false\ninstall e modprobe f\nblacklist \\\n g\nalias x h\nblacklist\n"))
	for name, want := range map[string]bool{"a": false, "b_c": true, "b-c": true, "d": true, "e": false, "g": true, "h": false, "": false} {
		if b.Has(name) != want {
			t.Errorf("%q: %v", name, b.Has(name))
		}
	}
}

func TestMatch(t *testing.T) {
	x := kerneltree.NewIndex(
		[]kerneltree.Dependency{{Path: "k/hv-storvsc.ko"}, {Path: "k/nvme.ko"}, {Path: "k/dmi.ko"}},
		[]kerneltree.Alias{
			{Pattern: "vmbus:32264132cb86a2449b5c50d1417354f5", Module: "hv_storvsc"}, {Pattern: "pci:v*d*sv*sd*bc01sc08i02*", Module: "nvme"},
			{Pattern: "dmi*:svnLENOVO*:pvr[A-C]*", Module: "dmi"}, {Pattern: "pci:v*", Module: "gone"}, {Pattern: "pci:v*d*", Module: "nvme"},
		}, nil, nil, nil)
	for alias, want := range map[string][]string{
		"vmbus:32264132cb86a2449b5c50d1417354f5\n":              {"hv_storvsc"},
		"pci:v00008086d00000953sv00008086sd0000370Abc01sc08i02": {"nvme"},
		"dmi:bvnLENOVO:bvr/1:svnLENOVO:pn:pvrBx":                {"dmi"},
		"dmi:bvnLENOVO:svnLENOVO:pn:pvrDx":                      nil,
		"usb:v":                                                 nil, "": nil,
	} {
		if got := x.Match(alias); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v", alias, got)
		}
	}
}
