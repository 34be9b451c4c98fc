package boot

import (
	"errors"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/superblock"
)

func TestExplainMismatch(t *testing.T) {
	for name, c := range map[string]struct {
		mismatch hashtree.MismatchError
		want     []string
	}{
		"top block":  {hashtree.MismatchError{Level: 2, TopLevel: true}, []string{"/usr on /dev/vda2: ", "usrhash= belongs to another image"}},
		"hash block": {hashtree.MismatchError{Level: 0}, []string{"/usr on /dev/vda2: ", "write it again"}},
		"data block": {hashtree.MismatchError{Level: -1}, []string{"/usr on /dev/vda1: ", "write it again"}},
	} {
		err := explainMismatch(&c.mismatch, "/dev/vda1", "/dev/vda2")
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		var mismatch *hashtree.MismatchError
		if !errors.As(err, &mismatch) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
	other := errors.New("read: input/output error")
	if err := explainMismatch(other, "a", "b"); err != other {
		t.Error(err)
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
