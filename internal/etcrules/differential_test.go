//go:build hostroot

package etcrules

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// uppers is how many random roots the differential test has. PREROOT_UPPERS is for the long run.
func uppers(t *testing.T) int {
	text := os.Getenv("PREROOT_UPPERS")
	if text == "" {
		return 100
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		t.Fatalf("PREROOT_UPPERS=%s", text)
	}
	return count
}

// firstUpper is the number of the first one: PREROOT_FIRST_UPPER=N PREROOT_UPPERS=1 repeats upper N.
func firstUpper(t *testing.T) int {
	first, err := strconv.Atoi(cmp.Or(os.Getenv("PREROOT_FIRST_UPPER"), "0"))
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// runReference runs the shell's rules on roots.
func runReference(t *testing.T, roots ...string) {
	t.Helper()
	command := exec.Command("testdata/reference", roots...)
	command.Env = append(os.Environ(),
		"RULES_REFERENCE="+flatcarLike.Reference, "RULES_OPT_OUT="+flatcarLike.OptOut, "RULES_NO_WHITEOUTS="+flatcarLike.NoWhiteouts,
		"RULES_ACCOUNTS="+flatcarLike.Accounts, "RULES_USERS="+strings.Join(flatcarLike.Users, " "), "RULES_GROUPS="+strings.Join(flatcarLike.Groups, " "),
		"RULES_TMPFILES="+flatcarLike.Tmpfiles[0], "RULES_RESET_FLAG="+flatcarLike.ResetFlag, "RULES_BLANK_ID="+flatcarLike.BlankMachineID,
	)
	if output, err := command.CombinedOutput(); err != nil || len(output) > 0 {
		t.Fatalf("reference: %v\n%s", err, output)
	}
}

// shards run side by side.
const shards = 4

// TestDifferential makes random roots twice, gives one to the rules and one to the shell, and wants the same of both, also after a second run.
func TestDifferential(t *testing.T) {
	count := uppers(t)
	var lock sync.Mutex
	seen := map[string]int{}
	t.Run("uppers", func(t *testing.T) {
		for shard := range shards {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()
				for seed := shard; seed < count && !t.Failed(); seed += shards {
					done := compareWithReference(t, seed+firstUpper(t))
					lock.Lock()
					for _, a := range done.Actions {
						seen[a.Rule+" "+string(a.Do)]++
					}
					lock.Unlock()
				}
			})
		}
	})
	t.Logf("%d uppers, actions: %v", count, seen)
	for _, want := range []string{"R1 remove", "R1 remove tree", "R2 remove", "R3 remove", "R3 append", "R4 create directory", "R4 create link", "R4 set mode and owner",
		"R5 remove", "R6 create directory", "R7 remove"} {
		if seen[want] == 0 && count >= 100 {
			t.Errorf("no upper needed %q: the test shows nothing of it", want)
		}
	}
}

func compareWithReference(t *testing.T, seed int) *Plan {
	dir := t.TempDir()
	defer os.RemoveAll(dir)
	root, _ := newGenerator(uint64(seed)).world()
	one, other := filepath.Join(dir, "ours"), filepath.Join(dir, "reference")
	for _, top := range []string{one, other} {
		if err := os.Mkdir(top, 0o755); err != nil {
			t.Fatal(err)
		}
		root.build(t, top)
	}
	before, timesBefore := snapshot(t, one), times(t, one)
	supposed := runRules(t, one, flatcarLike, true)
	if d := difference(before, snapshot(t, one)); d != "" {
		t.Fatalf("upper %d: a dry run changed\n%s", seed, d)
	}
	done := runRules(t, one, flatcarLike, false)
	runReference(t, other)
	after := snapshot(t, one)
	if d := difference(snapshot(t, other), after); d != "" {
		t.Fatalf("upper %d: want is the shell's:\n%s\nplan:\n%s", seed, d, planText(done))
	}
	for _, a := range done.Actions {
		if a.Error != "" {
			t.Errorf("upper %d: %s", seed, a)
		}
	}
	checkTimes(t, seed, done, before, timesBefore, one)
	checkDryRun(t, seed, supposed, done)
	again := runRules(t, one, flatcarLike, false)
	if d := difference(after, snapshot(t, one)); d != "" {
		t.Fatalf("upper %d: a second run changed\n%s\nplan:\n%s", seed, d, planText(again))
	}
	return done
}

// checkTimes wants the times of what no rule has made or written.
func checkTimes(t *testing.T, seed int, done *Plan, before, timesBefore map[string]string, top string) {
	t.Helper()
	written := map[string]bool{}
	for _, a := range done.Actions {
		written[a.Path] = written[a.Path] || a.Do != Remove
	}
	after := snapshot(t, top)
	for p, at := range times(t, top) {
		if before[p] == after[p] && timesBefore[p] != at && !written[p] {
			t.Errorf("upper %d: the time of %q changed", seed, p)
		}
	}
}

// checkDryRun wants that a dry run tells what is done. It does not see what R4 makes and R7 finds to be as shipped.
func checkDryRun(t *testing.T, seed int, supposed, done *Plan) {
	t.Helper()
	list := func(p *Plan) string {
		var b strings.Builder
		made := map[string]bool{}
		for _, a := range p.Actions {
			made[a.Path] = made[a.Path] || a.Do == CreateDirectory
			if a.Rule == "R7" && made[a.Path] {
				continue
			}
			fmt.Fprintf(&b, "%s %s %q\n", a.Rule, a.Do, a.Path)
		}
		return b.String()
	}
	if list(supposed) != list(done) {
		t.Errorf("upper %d: a dry run says\n%sand done was\n%s", seed, list(supposed), list(done))
	}
}

// TestNoUserFileIsLost runs old, new, old and new defaults over an /etc, as two slots of a system do.
func TestNoUserFileIsLost(t *testing.T) {
	for seed := range uppers(t) {
		g := newGenerator(uint64(seed))
		older, newer := g.shipped(), g.shipped()
		for p, e := range older { // most stays the same
			if newer.canHold(p) && g.chance(70) {
				if _, ok := newer[p]; !ok {
					newer.add(p, e)
				}
			}
		}
		upper := g.upper(older)
		dir := t.TempDir()
		upper.build(t, dir)
		for name, shipped := range map[string]tree{"old": older, "new": newer} {
			top := dir + "/usr/share/" + name
			if err := os.MkdirAll(top, 0o755); err != nil {
				t.Fatal(err)
			}
			shipped.add("/etc", entry{kind: 'd'})
			shipped.build(t, top)
		}
		before := snapshot(t, dir+"/etc")
		for _, name := range []string{"old", "new", "old", "new"} {
			settings := flatcarLike
			settings.Reference = "/usr/share/" + name + "/etc"
			settings.Accounts, settings.NoWhiteouts, settings.Tmpfiles = "", "", nil
			runRules(t, dir, settings, false)
		}
		after := snapshot(t, dir+"/etc")
		for p, e := range upper {
			inside := strings.TrimPrefix(p, "/etc")
			// What the user changed or made, and no release happens to have: equal to neither default.
			if !e.user || equalsDefault(before[inside], dir, inside) {
				continue
			}
			if after[inside] != before[inside] && !(e.linkTo != "" || strings.Contains(before[inside], " names 2 ")) {
				t.Errorf("upper %d: %q is lost or changed:\n%s\n%s", seed, p, before[inside], after[inside])
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// equalsDefault compares as simply as can be what is seen of an entry with what both releases ship.
func equalsDefault(description, dir, inside string) bool {
	for _, name := range []string{"old", "new"} {
		top := dir + "/usr/share/" + name + "/etc"
		one, err := exec.Command("stat", "-c", "%f %u %g", "--", top+inside).Output()
		if err != nil {
			continue
		}
		var mode, uid, gid int
		if _, err := fmt.Sscanf(string(one), "%x %d %d", &mode, &uid, &gid); err != nil {
			continue
		}
		if strings.HasPrefix(description, fmt.Sprintf("%o %d:%d ", mode, uid, gid)) {
			return true // the same in these: the change may be in what does not count
		}
	}
	return false
}
