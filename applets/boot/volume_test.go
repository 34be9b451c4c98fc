package boot

import (
	"errors"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/plan"
)

func TestExplainMismatch(t *testing.T) {
	volume := &plan.Volume{Name: plan.UsrName, HashWord: "verity.usrhash="}
	for name, c := range map[string]struct {
		mismatch hashtree.MismatchError
		want     []string
	}{
		"top block":  {hashtree.MismatchError{Level: 2, TopLevel: true}, []string{"/usr on /dev/vda2: ", "verity.usrhash= belongs to another image"}},
		"hash block": {hashtree.MismatchError{Level: 0}, []string{"/usr on /dev/vda2: ", "write it again"}},
		"data block": {hashtree.MismatchError{Level: -1}, []string{"/usr on /dev/vda1: ", "write it again"}},
	} {
		err := explainMismatch(&c.mismatch, volume, "/dev/vda1", "/dev/vda2")
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
	if err := explainMismatch(other, volume, "a", "b"); err != other {
		t.Error(err)
	}
}

func TestExplainNoTree(t *testing.T) {
	cause := errors.New("/dev/vda3: not a verity superblock")
	flatcar := &plan.Volume{Name: plan.UsrName, OnePartition: true, DataRole: "verity.usr="}
	if err := explainNoTree(cause, flatcar, 1065345024); !errors.Is(err, cause) || !strings.Contains(err.Error(), "/usr by verity.usr=: ") || !strings.Contains(err.Error(), "expected at byte 1065345024, ") {
		t.Error(err)
	}
	flatcar.Options.HashOffset = 4096
	for _, volume := range []*plan.Volume{flatcar, {Name: plan.UsrName}} {
		if err := explainNoTree(cause, volume, 0); err != cause {
			t.Error(err)
		}
	}
}
