package boot

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/superblock"
)

// withUsr gives a boot a plan whose /usr and root are found by partition UUIDs.
func (f *failure) withUsr() {
	f.plan = &plan.Boot{
		Usr: plan.Usr{
			Source: plan.UsrVerity,
			Volume: &plan.Volume{
				Name: plan.UsrName,
				Data: plan.Selector{Kind: plan.ByPartUUID, Value: dataID}, Hash: plan.Selector{Kind: plan.ByPartUUID, Value: treeID},
			},
		},
		Root: plan.FileSystem{Device: plan.Selector{Kind: plan.ByPartUUID, Value: rootID}}, Timeout: 7 * time.Second,
	}
}

// While only /usr is wanted, nobody waits for the root.
func TestSelectOnlyUsr(t *testing.T) {
	f := newFailure(t)
	f.withUsr()
	data, tree := testPartition(t, "vdb", 1, dataID), testPartition(t, "vdb", 2, treeID)
	found, missing := f.plan.Select([]observe.Partition{data, tree}, "", true)
	if missing != "" || found.Root.Data != nil || found.Usr.Data == nil || found.Usr.Hash == nil {
		t.Errorf("%+v, %q", found, missing)
	}
	if err := f.noteDevices(found); err != nil {
		t.Error(err)
	}
	if text := f.log.String(); !strings.Contains(text, "root not needed yet") {
		t.Error(text)
	}
	if _, missing := f.plan.Select([]observe.Partition{data}, "", true); !strings.Contains(missing, "hash tree of /usr") {
		t.Errorf("%q", missing)
	}
}

// A root that never came is for the second stage; a /usr that never came is not.
func TestWhatIsMissing(t *testing.T) {
	f := newFailure(t)
	f.withUsr()
	data, tree := testPartition(t, "vdb", 1, dataID), testPartition(t, "vdb", 2, treeID)
	for _, c := range []struct {
		partitions []observe.Partition
		isReason   bool
	}{{nil, false}, {[]observe.Partition{data}, false}, {[]observe.Partition{data, tree}, true}} {
		f.plan.Fallback = nil
		found, missing := f.plan.Select(c.partitions, "", false)
		err := f.asReason(stepDevices, &missingError{missing, 7 * time.Second, "there are others", found.RootIsMissing})
		if (err == nil) != c.isReason || (len(f.plan.Fallback) == 1) != c.isReason {
			t.Errorf("%v, %+v", err, f.plan.Fallback)
		}
		if c.isReason && f.plan.Fallback.Reasons()[0] != "no partition PARTUUID="+rootID+" (root, root=) appeared within 7s" {
			t.Errorf("%q", f.plan.Fallback.Reasons())
		}
	}
}

// What is wrong with the root is one reason, whatever it was wrapped in, and reads the same where there is no second stage.
func TestReasons(t *testing.T) {
	f := newFailure(t)
	f.plan = &plan.Boot{}
	if err := f.asReason(stepRoot, nil); err != nil || len(f.plan.Fallback) != 0 {
		t.Errorf("%v", err)
	}
	if err := f.asReason(stepRoot, errors.New("another")); err == nil || len(f.plan.Fallback) != 0 {
		t.Errorf("%v", err)
	}
	wrapped := fmt.Errorf("root /dev/vda4: %w", &plan.Refusal{Reason: "it is dirty", Advice: "clean it"})
	if err := f.asReason(stepRoot, wrapped); err != nil {
		t.Error(err)
	}
	if _, err := plan.PlanSecondStage(f.plan.Fallback, false); err == nil || err.Error() != wrapped.Error() {
		t.Errorf("%q, want %q", err, wrapped)
	}
	_, err := plan.PlanSecondStage(f.plan.Fallback, false)
	if code := failureCode(stepStage, f.original(err)); code.Name != "PR-ROOT-CHECK" {
		t.Errorf("%s", code.Name)
	}
	if stage, _ := plan.PlanSecondStage(f.plan.Fallback, true); len(stage.Reasons) != 1 || stage.Reasons[0] != "root /dev/vda4: it is dirty" {
		t.Errorf("%q", stage.Reasons)
	}
}

// All that stands in the way of mounting the root is a refusal, also a driver that the image has not.
func TestLookAtRoot(t *testing.T) {
	f := newFailure(t)
	f.withModules(t, nil)
	for name, c := range map[string]struct {
		info superblock.Info
		want string
	}{
		"dirty":     {superblock.Info{Kind: superblock.Ext4}, "root /dev/vda4: its ext4 must be checked"},
		"encrypted": {superblock.Info{Kind: superblock.LUKS, Clean: true}, "root /dev/vda4: it holds crypto_LUKS"},
		"no driver": {superblock.Info{Kind: superblock.Ext4, Clean: true}, "root /dev/vda4: neither this kernel nor this image has the module nonesuch"},
	} {
		f.plan = &plan.Boot{Root: plan.FileSystem{Type: "nonesuch"}}
		root := testPartition(t, "vda", 4, rootID)
		root.Content = c.info
		f.found = devices{Devices: plan.Devices{Root: plan.Parts{Data: &root}}}
		err := f.lookAtRoot()
		var refusal *plan.Refusal
		if !errors.As(err, &refusal) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
