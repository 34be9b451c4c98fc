//go:build vm

package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestPowerCutAtEveryFlush notes the writes of the boot that migrates a full old /etc, with a file system that puts each change of a directory on the
// disk at once. A guest then puts the root together as it was at flushes of that log, and runs the rules on it.
func TestPowerCutAtEveryFlush(t *testing.T) {
	const least, most = 50, 80
	t.Parallel()
	f := prepareFlatcar(t, vmtest.Forky)
	f.addJudge(t)
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "replay"), "./internal/vmtest/scenario/replay")
	build.Dir, build.Env = repository, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build replay: %v\n%s", err, output)
	}
	f.editRoot(t, "write "+filepath.Join(dir, "replay")+" /opt/replay", "write "+filepath.Join(repository, "bin/preroot")+" /opt/preroot")
	f.runPhase(t, judgeIsInit, "old", "a full /etc is there")

	start := f.offset(t, "ROOT_OFFSET")
	const size = 1 << 30
	base, log := filepath.Join(dir, "base.raw"), filepath.Join(dir, "log.raw")
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	copyRange(t, base, f.disk, start, size)
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	logged := f.start("rootflags=rw,dirsync " + stopAtInit)
	logged.WriteLog = log
	run, err := f.Boot(t.Context(), logged)
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	if _, found := run.Find("testbed: mark init "); !found {
		t.Fatalf("the logged boot did not end well:\n%s", run.Tail(60))
	}

	replay := f.start(fmt.Sprintf("init=/opt/replay printk.devkmsg=on replay.start=%d replay.size=%d replay.points=%d", start, size, most))
	replay.MoreDisks = []string{base, wholeSectors(t, log)}
	if run, err = f.Boot(t.Context(), replay); err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	end := regexp.MustCompile(`replay: ok (\d+) points come to one result`).FindStringSubmatch(run.Console)
	if end == nil {
		t.Fatalf("the replays do not agree:\n%s", run.Tail(150))
	}
	points, _ := strconv.Atoi(end[1])
	states := map[string]bool{}
	for _, found := range regexp.MustCompile(`replay: point \d+ before (\S+) `).FindAllStringSubmatch(run.Console, -1) {
		states[found[1]] = true
	}
	t.Logf("%d points, %d different /etc before the rules", points, len(states))
	if points < least || len(states) < least/2 {
		t.Errorf("%d points with %d different /etc are too few", points, len(states))
	}
	// What they come to is what the judge wants.
	f.runPhase(t, judgeIsInit, "converged", "E34 after power cuts the rules come to the same result")
}

// copyRange makes a sparse file of a part of a disk.
func copyRange(t *testing.T, to, from string, start, size int64) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if err := os.Truncate(to, size); err != nil {
		t.Fatal(err)
	}
	target, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	copyBlocks(t, target, 0, source, start, size)
}
