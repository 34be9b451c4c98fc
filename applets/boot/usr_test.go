package boot

import (
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/superblock"
)

// TestNoteUsr: what nobody vouches for is never called verified.
func TestNoteUsr(t *testing.T) {
	for want, c := range map[string]struct {
		usr          plan.Usr
		node, fsType string
		verified     bool
	}{
		"/usr is verified (erofs)":                  {plan.Usr{Source: plan.UsrVerity}, "/dev/mapper/usr", "erofs", true},
		"/usr on /dev/vda3 (btrfs) is not verified": {plan.Usr{Source: plan.UsrDevice}, "/dev/vda3", "btrfs", false},
		"/usr lies on the root and is not verified": {plan.Usr{Source: plan.UsrOnRoot}, "", "", false},
		"/usr lies on the root, which is verified":  {plan.Usr{Source: plan.UsrOnRoot}, "", "", true},
	} {
		f := newFailure(t)
		f.plan = &plan.Boot{Usr: c.usr}
		if c.verified && c.usr.Source == plan.UsrOnRoot {
			f.plan.RootVolume = &plan.Volume{Name: plan.RootName}
		}
		f.noteUsr(c.node, c.fsType)
		if !strings.Contains(f.log.String(), want) || c.verified == (len(f.report.Warnings) == 1) {
			t.Errorf("%q, %q, want %q", f.log, f.report.Warnings, want)
		}
		if u := f.report.Usr; u.Verified != c.verified || u.Source != string(c.usr.Source) || u.FileSystem != c.fsType || u.Data != c.node {
			t.Errorf("%+v", u)
		}
	}
}

func TestMountType(t *testing.T) {
	for kind, want := range map[superblock.Kind]string{
		superblock.Ext2: "ext4", superblock.Ext3: "ext4", superblock.Ext4: "ext4", superblock.EROFS: "erofs", superblock.Btrfs: "btrfs",
	} {
		if got := mountType(kind); got != want {
			t.Errorf("%s: %s", kind, got)
		}
	}
	if err := notMountable(superblock.Unknown); !strings.Contains(err.Error(), "no file system that is known") {
		t.Error(err)
	}
	if err := notMountable(superblock.LUKS); err.Error() != "it holds crypto_LUKS, which preroot cannot open" {
		t.Error(err)
	}
}

func TestLoad(t *testing.T) {
	f := newFailure(t)
	f.withModules(t, map[string]string{"x*": "some_driver"})
	for module, want := range map[string]string{
		"built_in": "", "built-in": "", "tmpfs": "", "some-driver": "load module some_driver: ", "prerootfs": "neither this kernel nor this image has the module prerootfs",
	} {
		err := f.load(module)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", module, err)
		}
	}
	if f.reasons["some-driver"] != "met on disk" {
		t.Errorf("%q", f.reasons)
	}
	f.plan = &plan.Boot{Modules: []plan.Need{{Module: "some_driver", Reason: "because"}, {Module: "built_in", Reason: "no"}, {Module: "nowhere", Reason: "no"}}}
	f.loadCertainModules()
	if f.reasons["some_driver"] != "because" || f.reasons["built_in"] != "" || f.reasons["nowhere"] != "" {
		t.Errorf("%q", f.reasons)
	}
}

func TestFileSystemAskedForOnTheCommandLine(t *testing.T) {
	f := newFailure(t)
	f.withModules(t, nil)
	// The device is not read then.
	if fsType, err := f.fileSystem("/dev/preroot-no-such-disk", "tmpfs"); err != nil || fsType != "tmpfs" {
		t.Errorf("%s, %v", fsType, err)
	}
	if _, err := f.fileSystem("/dev/preroot-no-such-disk", ""); err == nil {
		t.Error("read from a device that is not there")
	}
	if _, err := f.fileSystem("/dev/preroot-no-such-disk", "prerootfs"); err == nil {
		t.Error("found a driver that is not there")
	}
}
