//go:build vm

package scenario

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/vmtest"
)

// The words for the program in front of /init (internal/vmtest/faultinit).
const (
	faultWord = "PREROOT_FAULT="
	watchWord = "PREROOT_WATCH="
)

const (
	// faultSettings bound a boot that hangs, for kernels that a busy host emulates.
	faultSettings = "[Failure]\nTimeoutSec=40\n"
	// stallLimit is that with rd.timeout=, the writing of what is in memory to a disk that may not answer, and what an emulated start takes.
	stallLimit = 40*time.Second + 5*time.Second + 15*time.Second + refusalLimit
	// ends is the init of the next boot.
	ends = "init=/usr/lib/testbed/init-stop"
)

// fault is a kernel call in a step of the boot.
type fault struct {
	step, at string
	// code and cause are what a boot says in which the call fails; without a code it goes on, with the cause in its log.
	code, cause string
	// cmdline changes the command line so that the step is taken, words are added.
	cmdline func(line string) string
	words   string
	// stage has a disk with a second stage on it.
	stage bool
	// early is before the settings are known.
	early bool
}

// faults are all steps.
var faults = []fault{
	{step: "mount /proc, /sys, /dev and /run", at: "fsopen=tmpfs", code: "PR-API-MOUNT", cause: "tmpfs.*input/output error", early: true},
	{step: "read command line and settings", at: "openat=/etc/preroot.conf", code: "PR-SETTINGS", cause: "open /etc/preroot.conf: input/output error", early: true},
	{step: "find devices", at: "socket=10", code: "PR-DEV-SEARCH", cause: "input/output error"},
	{step: "open /usr", at: "ioctl=c138fd09", code: "PR-USR-OPEN", cause: "input/output error"},
	{step: "look at the root", at: "ioctl=c138fd09,openat=/dev/vda4", code: "PR-ROOT-CHECK", cause: "root /dev/vda4: open /dev/vda4: input/output error", cmdline: withoutWord("rootfstype=")},
	{step: "look for a second stage", at: "fsopen=erofs", code: "PR-USR-OPEN", cause: "mount /usr: .*input/output error", cmdline: withoutWord("root=")},
	{step: "enter the second stage", at: "fsopen=squashfs", code: "PR-HANDOVER", cause: "second stage on /usr: .*input/output error", stage: true},
	{step: "pass on what systemd-stub brought", at: "openat=/.extra/profile", cause: "open /.extra/profile: input/output error"},
	{step: "mount root and /usr", at: "fsopen=ext4", code: "PR-ROOT-MOUNT", cause: "mount root: .*input/output error"},
	{step: "apply rules for /etc", at: "fsopen=ext4,openat=/sysroot", code: "PR-ETC-RULES", cause: "open /sysroot: input/output error"},
	{step: "merge extensions", at: "fsopen=overlay", code: "PR-EXT-MERGE", cause: "overlay.*input/output error"},
	{step: "hand over", at: "pivot_root=.", code: "PR-HANDOVER", cause: "pivot root to /sysroot: input/output error"},
	// The step is over, and the old root gone: what fails, or hangs, is the next init.
	{step: "hand over", at: "pivot_root=.,execve=/usr/lib/testbed/init-stop", code: "PR-HANDOVER", cause: "execute /usr/lib/testbed/init-stop: input/output error"},
	// With one processor, too.
	{step: "hand over", at: "pivot_root=.,execve=/usr/lib/testbed/init-stop", code: "PR-HANDOVER", cause: "execute /usr/lib/testbed/init-stop: input/output error", words: "nr_cpus=1"},
}

// sampledFaults are those of a run of all tests, by their places in the list: one of each kind, on one disk.
var sampledFaults = map[string]int{"fail": 3, "stall": 10, "kill": 8}

// TestFaults lets each step of the boot fail, hang, and be the end of PID 1. Each of these boots ends in time, with a screen that names what
// it was, and the next one of the same disk goes well. scripts/faults does all of them, other runs a sample.
func TestFaults(t *testing.T) {
	t.Parallel()
	m, err := PrepareFaulty(vmtest.Forky, t.TempDir(), faultSettings)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(vmtest.LongVariable) == "" {
		disk := copyOfDisk(t, m.Testbed, "faults.raw")
		for _, kind := range []string{"fail", "stall", "kill"} {
			f := faults[sampledFaults[kind]]
			t.Run(f.name(kind), func(t *testing.T) { f.run(t, m, kind, disk, "") })
		}
		t.Run("the next boot", func(t *testing.T) { nextBoot(t, m, disk, "") })
		return
	}
	stage := buildStage(t, m.Testbed)
	for _, f := range faults {
		for _, kind := range []string{"fail", "stall", "kill"} {
			t.Run(f.name(kind), func(t *testing.T) {
				disk, line := "", ""
				if f.stage {
					var hash string
					disk, hash = stageDisk(t, m.Testbed, stage, gpt.GUID{}, nil)
					line = "root=LABEL=ROOT rw flatcar.first_boot=detected usrhash=" + hash
				} else {
					disk = copyOfDisk(t, m.Testbed, "faults.raw")
				}
				f.run(t, m, kind, disk, line)
				nextBoot(t, m, disk, line)
			})
		}
	}
}

func (f fault) name(kind string) string {
	return joinWords(kind, strings.NewReplacer("/", "", ",", "").Replace(f.step), "at", strings.NewReplacer("/", "", ",", " then ").Replace(f.at), f.words)
}

// run boots with the fault, and judges.
func (f fault) run(t *testing.T, m *Machine, kind, disk, line string) {
	t.Helper()
	start := Start{Disk: disk, Keep: true, CommandLine: line, Append: joinWords(faultWord+kind+":"+f.at, "rd.timeout=5", ends, f.words)}
	if f.cmdline != nil {
		whole, err := m.Testbed.Value("CMDLINE")
		if err != nil {
			t.Fatal(err)
		}
		start.CommandLine = f.cmdline(whole)
	}
	run, err := m.Boot(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	if _, found := run.Find("faultinit: " + kind + " at "); !found {
		t.Fatalf("nothing was made to %s\n%s", kind, run.Tail(80))
	}
	switch {
	case kind == "kill":
		judge(t, run, checkKilled(run))
	case kind == "fail" && f.code == "":
		if _, found := run.Find(f.cause); !found {
			t.Errorf("no %q", f.cause)
		}
		wantInit(t, run, line)
	default:
		code, cause, limit := f.code, f.cause, refusalLimit
		if kind == "stall" {
			code, cause, limit = "PR-TIME", "the boot took longer than 45s", stallLimit
		}
		if kind == "stall" && f.early {
			cause, limit = "the boot took longer than 1m0s", stallLimit+time.Minute
		}
		findings := CheckRefusal(run, regexp.MustCompile(cause), limit)
		screen, err := checkScreen(run, code, f.step)
		finding := Finding{Point: "the screen has code and step", OK: err == nil, Detail: screen}
		if err != nil {
			finding.Detail = err.Error()
		}
		judge(t, run, append(findings, finding))
	}
}

// checkKilled judges a boot whose PID 1 ended: the kernel says so, and restarts.
func checkKilled(run *vmtest.Run) []Finding {
	panicked, found := run.Find("Attempted to kill init!")
	_, started := run.Find("testbed: mark init ")
	return []Finding{
		{Point: "the kernel panics", OK: found, Detail: panicked.Text},
		{Point: "the real root's init never ran", OK: !started, Detail: fmt.Sprint(started)},
		{Point: "the machine restarts", OK: run.End == vmtest.EndedByGuest, Detail: fmt.Sprintf("%s after %.1f s", run.End, run.Wall.Seconds())},
	}
}

// nextBoot boots the same disk without a fault.
func nextBoot(t *testing.T, m *Machine, disk, line string) {
	t.Helper()
	words := ends
	if line != "" {
		words = ""
	}
	run, err := m.Boot(t.Context(), Start{Disk: disk, Keep: true, CommandLine: line, Append: words})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	wantInit(t, run, line)
}

// wantInit wants the real root's init to have run, with both classes merged, or the second stage if there is a command line of its own.
func wantInit(t *testing.T, run *vmtest.Run, line string) {
	t.Helper()
	mark, words := "testbed: mark init ", " confext=present sysext=present "
	if line != "" {
		mark, words = "stage: end", ""
	}
	seen, found := run.Find(mark)
	if !found || !strings.Contains(seen.Text, words) {
		t.Errorf("the next init said %q\n%s", seen.Text, run.Tail(80))
	}
}

// withoutWord takes a word away: without root= a second stage is looked for, without rootfstype= the root itself is.
func withoutWord(begin string) func(string) string {
	return func(line string) string {
		return strings.Join(slices.DeleteFunc(strings.Fields(line), func(word string) bool { return strings.HasPrefix(word, begin) }), " ")
	}
}

// TestWaitingCostsNothing looks at PID 1 for 30 s while it waits for a root that never comes: it neither runs nor is woken.
func TestWaitingCostsNothing(t *testing.T) {
	t.Parallel()
	m, err := PrepareFaulty(vmtest.Forky, t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	line, err := m.Testbed.Value("CMDLINE")
	if err != nil {
		t.Fatal(err)
	}
	// The first of the two times is long after the last device came, where the host is not far too busy.
	run, err := m.Boot(t.Context(), Start{CommandLine: replaceRoot(t, line), Append: joinWords(watchWord+"20,50", "rd.timeout=60"), Timeout: 300 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, run)
	watched, found := run.Find("faultinit: watched ")
	if !found {
		t.Fatalf("nobody watched\n%s", run.Tail(60))
	}
	t.Log(watched.Text)
	match := regexp.MustCompile(`watched 30 s: cpu=(\d+) us switches=(\d+) threads=\d+ before: cpu=(\d+) us switches=(\d+) threads=\d+`).FindStringSubmatch(watched.Text)
	if match == nil {
		t.Fatalf("%q", watched.Text)
	}
	var numbers [4]int
	for i := range numbers {
		if _, err := fmt.Sscan(match[i+1], &numbers[i]); err != nil {
			t.Fatal(err)
		}
	}
	cpu, switches, cpuBefore, switchesBefore := numbers[0], numbers[1], numbers[2], numbers[3]
	if cpuBefore == 0 || switchesBefore == 0 {
		t.Error("what PID 1 did before is not counted")
	}
	// Looking again once a second would be 30 switches.
	if cpu > 10000 || switches > 10 {
		t.Errorf("in 30 s without a device PID 1 used %d us of CPU time and was switched %d times", cpu, switches)
	}
	judge(t, run, CheckRefusal(run, regexp.MustCompile(`no partition PARTUUID=00000000-1111-2222-3333-444444444444 .*appeared within 1m0s`), 2*refusalLimit+time.Minute))
}
