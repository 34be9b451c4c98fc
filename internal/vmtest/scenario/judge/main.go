// Command judge is what some scenarios have as init, or as a unit, of the real root: it looks at the merged /etc, at the bare upper directory,
// and at preroot's report, says on the console what it found, prepares what the next boot is to meet, and ends the machine. The word scenario.phase= of
// the kernel command line says which of it. It shares no code with the boot.
//
// On the console a line "scenario: ok NAME" or "scenario: FAILED NAME: WHY" stands for each thing that was judged, and "scenario: end PHASE" for an end
// that was reached.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// phases are what can be asked for.
var phases = map[string]func(j *judge){
	"first": judgeFirst, "again": judgeAgain, "edited": judgeEdited, "other": judgeOther, "dangling": judgeDangling, "reset": judgeReset,
	"old": prepareOld, "cut": linger, "converged": judgeConverged,
	"blank": prepareBlank, "new-id": judgeNewID, "same-id": judgeSameID, "whiteout": judgeWhiteout, "kept-id": judgeKeptID,
}

func main() {
	// Mount namespaces are of threads.
	runtime.LockOSThread()
	j := &judge{}
	defer j.end()
	j.run()
}

// judge is one run.
type judge struct {
	console *os.File
	phase   string
}

// run does what the command line asks for. What goes wrong is said, since the machine ends after it in any case.
func (j *judge) run() {
	defer func() {
		if reason := recover(); reason != nil {
			j.say("FAILED", "the judge itself", fmt.Sprint(reason))
		}
	}()
	var err error
	if j.console, err = os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err != nil {
		panic(err)
	}
	for word := range strings.FieldsSeq(read("/proc/cmdline")) {
		if value, found := strings.CutPrefix(word, "scenario.phase="); found {
			j.phase = value
		}
	}
	run := phases[j.phase]
	if run == nil {
		panic(fmt.Sprintf("scenario.phase=%q is not known", j.phase))
	}
	run(j)
	j.say("end", j.phase, "")
}

// end restarts the machine; what was written is on the disk then.
func (j *judge) end() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

// say writes a line to the kernel's console. The kernel cuts lines at about 1000 bytes.
func (j *judge) say(verdict, name, detail string) {
	text := "<5>scenario: " + verdict + " " + name
	if detail != "" {
		text += ": " + strings.ReplaceAll(detail, "\n", " | ")
	}
	fmt.Fprintf(j.console, "%.900s\n", text)
}

// check judges one thing: problems are what is wrong with it.
func (j *judge) check(name string, problems ...string) {
	var wrong []string
	for _, p := range problems {
		if p != "" {
			wrong = append(wrong, p)
		}
	}
	if len(wrong) > 0 {
		j.say("FAILED", name, strings.Join(wrong, "; "))
		return
	}
	j.say("ok", name, "")
}
