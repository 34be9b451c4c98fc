//go:build vm

package scenario

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestEtc boots one disk again and again: an empty root, one that users have edited in every way, other settings, a reset. Each boot ends in the judge, which
// looks, and prepares the next one.
func TestEtc(t *testing.T) {
	for _, suite := range []string{vmtest.Forky, vmtest.Trixie} {
		// The second kernel is run by scripts/scenarios alone: elsewhere it does not pass either.
		if suite == vmtest.Trixie && os.Getenv(vmtest.LongVariable) == "" {
			continue
		}
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			bootAndEdit(t, prepareFlatcar(t, suite))
		})
	}
}

func bootAndEdit(t *testing.T, f *flatcar) {
	f.addJudge(t)
	f.runPhase(t, judgeIsInit, "first",
		"the boot went well", "E1 /etc is complete", "E1 the bare upper has the accounts alone", "E1 accounts in passwd", "E1 accounts in shadow",
		"E1 base directories", "E1 the mutable directory is a link to /etc", "E1 /etc is one overlay that takes writes",
		"sysexts of the image", "a confext of the image")
	f.runPhase(t, judgeIsInit, "again",
		"E2 nothing is new in the bare upper", "E2 /etc is complete", "S7 loops and overlays do not grow")
	f.runPhase(t, judgeIsInit, "edited",
		"E3 identical copies are gone", "E5 mode", "E5 owner", "E5 ACL", "E5 byte", "E5 target",
		"E6 an emptied directory stays empty", "E7 a directory made again stays as it is", "E8 a deleted file stays deleted",
		"E9 what a rule makes is there again", "E10 a deleted directory stays deleted", "E11 passwd and shadow are made again",
		"E12 a missing line is added", "E13 what is left of a full /etc are the changes", "E14 changes of the hand-made overlay are kept",
		"E15 the old overlay shows the same", "E18 10-x lies above the default, x below it", "E19 a signed confext is merged",
		"E20 the higher name wins", "E21 what does not fit is left out", "E22 an empty directory masks", "E29 a program in /etc runs",
		"E30 a blank machine id is gone", "E35 a work directory of a crash does no harm",
		"S1 a directory sysext is merged", "S2 a link to /dev/null switches a sysext off", "S3 one's own docker replaces the built-in one",
		"S6 a damaged image is left out")
	f.runPhase(t, judgeIsInit, "other",
		"E4 identical copies are kept where somebody says so", "E25 another mutable directory is used", "S5 a masked service means no merge",
		"O4 an expression that cannot be read deletes nothing")
	f.runPhase(t, judgeIsInit, "dangling",
		"E26 with a dangling link /etc takes no writes", "E31b an /etc that takes no writes has an empty machine-id", "O3 an empty flag does nothing")
	f.runPhase(t, judgeIsInit, "reset",
		"O1 what is to be kept is kept, all else goes", "O5 /usr and what lies in memory is not touched")
	t.Run("E22 a masked default", func(t *testing.T) {
		run, err := f.Boot(t.Context(), f.start(judgeIsInit+judgeWords+"first"))
		if err != nil {
			t.Fatal(err)
		}
		logRun(t, run)
		judge(t, run, CheckRefusal(run, regexp.MustCompile(`00-flatcar-default`), refusalLimit))
	})
}

// TestMachineID lets systemd make, keep and replace machine ids.
func TestMachineID(t *testing.T) {
	t.Parallel()
	f := prepareFlatcar(t, vmtest.Forky)
	f.addJudge(t)
	f.runPhase(t, judgeIsInit, "blank", "the root is prepared")
	f.runPhase(t, judgeIsAUnit, "new-id",
		"E16 systemd merges nothing, and /etc is one mount from preroot on", "S1 a unit of a directory sysext starts with the others",
		"E30 a blank id is replaced, and it is a first boot")
	f.runPhase(t, judgeIsAUnit, "same-id", "E30 the next boot is no first boot")
	f.runPhase(t, judgeIsAUnit, "whiteout", "E31 a whiteout is a first boot, and the new id replaces it")
	f.runPhase(t, "systemd.machine_id=fedcba9876543210fedcba9876543210 "+judgeIsAUnit, "kept-id", "O2 the machine id of the command line outlives a reset")
}

// TestPowerCut ends the machine in the middle of the rules, with a full old /etc, and wants the next boot to come to the usual result.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	f := prepareFlatcar(t, vmtest.Forky)
	f.addJudge(t)
	f.runPhase(t, judgeIsInit, "old", "a full /etc is there")
	early := 0
	for _, delay := range []time.Duration{0, 40 * time.Millisecond, 150 * time.Millisecond} {
		ctx, cut := context.WithCancel(t.Context())
		c := &cutter{text: "/usr is verified", delay: delay, cut: cut}
		start := f.start(judgeIsInit + judgeWords + "cut")
		start.Log = c
		_, err := f.Boot(ctx, start)
		cut()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("the machine was not cut: %v\n%s", err, c)
		}
		isEarly := !strings.Contains(c.String(), "rules for /etc:")
		if isEarly {
			early++
		}
		t.Logf("cut %v after /usr was verified; before the end of the rules: %v", delay, isEarly)
	}
	if early == 0 {
		t.Error("no cut was before the end of the rules")
	}
	f.runPhase(t, judgeIsInit, "converged", "E34 after power cuts the rules come to the same result")
}

// cutter watches a console and cuts some time after a text.
type cutter struct {
	text  string
	delay time.Duration
	cut   func()

	mu   sync.Mutex
	seen strings.Builder
	done bool
}

func (c *cutter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Write(b)
	if !c.done && strings.Contains(c.seen.String(), c.text) {
		c.done = true
		time.AfterFunc(c.delay, c.cut)
	}
	return len(b), nil
}

func (c *cutter) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.String()
}
