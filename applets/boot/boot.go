// Package boot is PID 1 of the initramfs: it verifies and mounts /usr, mounts
// the root, merges the extensions, and executes the root's own init.
//
// The work is done in rounds of observe, plan and apply, since what can be seen
// depends on what was done before. Every path ends in the next init or in a
// restart of the machine within a bounded time.
package boot

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/failurescreen"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/kernelmodules"
	"github.com/preroot/preroot/internal/lastfailure"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
)

const (
	// newRoot is where the root is mounted until the switch.
	newRoot = "/sysroot"
	// settingsFile lies in the image.
	settingsFile = "/etc/preroot.conf"
	// panicSeconds is used where panic= is not given.
	panicSeconds = "10"
)

// boot is the state of one run.
type boot struct {
	log    *bootlog.Logger
	report *bootreport.Report

	words    kernelcmdline.CommandLine
	plan     *plan.Boot
	firmware observe.Firmware
	index    *kernelmodules.Index
	loader   *kernelmodules.Loader
	reasons  map[string]string // module -> why
	merged   []merged
	dm       *devmapper.Control
	deadline *time.Timer

	// usrOnly says that the root need not be found yet, usrAt where /usr was mounted before the root was known; empty if it was not.
	// rootType is what the root is mounted as.
	usrOnly         bool
	usrAt, rootType string
	// oemAt is where the partition of the OEM is mounted in the root, empty if it is not.
	oemAt string
	// stood are the errors that became reasons for the second stage.
	stood []*earlierError
	// rootDisk is where devices are looked for first. tried are the places of fstab entries that were dealt with, waited how long their
	// devices took.
	rootDisk string
	tried    map[string]bool
	waited   time.Duration

	// settings are those of the image; typed are words that somebody in a shell put behind the kernel command line. planned is what
	// the plan has in Fallback before anything was seen.
	settings plan.Settings
	typed    string
	planned  plan.Fallback
	// done are the steps that need not be done again after the boot was resumed; reached says so of all that reach does. left, if not
	// empty, says why it cannot be resumed any more. rootOpen says that the root is under dm-verity and open.
	done              map[string]bool
	reached, rootOpen bool
	found             devices
	left              string
	// debugTerminal is where a shell is open beside the boot, empty if nowhere; endDebugShell ends it, nil if there is none.
	debugTerminal string
	endDebugShell func()

	// environment is for the next init, besides what the kernel gave.
	environment []string

	restorePanic func()
	// lowerPriority gives the calling thread the priority back that the process was started with.
	lowerPriority func() error
	program       Program
	failure       plan.Failure
	breakpoints   []plan.Breakpoint
	// current is the step that runs; screen is what a failure shows.
	current string
	screen  failurescreen.Screen

	// recording guards report and current: the deadline may write it at any time.
	recording sync.Mutex
	failed    atomic.Bool
	// end and sleep are the way out of fail; tests have doubles, and their reports lie elsewhere, as do their consoles and
	// what is kept over a restart.
	end        func(plan.Ending) error
	sleep      func(time.Duration)
	showTime   time.Duration
	reportFile string
	consoles   consoles
	last       *lastfailure.Store
	lastRead   chan struct{}
	// kept says that this boot has kept a failure over the restart that it was resumed after.
	kept atomic.Bool
}

// Main runs the boot. It returns only when not called as PID 1.
func Main(program Program, arguments []string) int {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "preroot: boot is for PID 1 of an initramfs")
		return 1
	}
	b := &boot{
		log:           &bootlog.Logger{},
		report:        bootreport.New("", "", program.Profile),
		reasons:       map[string]string{},
		restorePanic:  func() {},
		lowerPriority: func() error { return nil },
		program:       program,
		end:           end,
		sleep:         time.Sleep,
		showTime:      showTime,
		reportFile:    bootreport.Path,
		consoles:      machineConsoles(),
		last:          lastfailure.Machine(),
	}
	// Until the settings are known the strictest hold.
	b.failure, _ = plan.PlanFailure(kernelcmdline.CommandLine{}, plan.NoFailureSettings(), false)
	b.bootUntilDone(arguments)
	return 1
}

// run returns only with the reason why the boot cannot go on. Called again it goes on with the step that failed.
func (b *boot) run(arguments []string) (err error) {
	defer b.catch(&err)
	b.setDeadline(earlyTime)
	if err := b.once(stepAPI, b.mountAPI); err != nil {
		return err
	}
	if err := b.once(stepSettings, b.planBoot); err != nil {
		return err
	}
	b.setDeadline(b.timeLimit())
	b.startBesides()
	if err := b.reach(arguments); err != nil {
		return err
	}
	found := b.found
	b.rootDisk = found.Root.Data.Disk
	if err := b.once(stepStub, b.passExtra); err != nil {
		return err
	}
	if err := b.once(stepMount, func() error { return b.mountRoot(found) }); err != nil {
		return err
	}
	if err := b.once(stepEtc, b.applyEtcRules); err != nil {
		return err
	}
	if err := b.once(stepExtensions, b.mergeAll); err != nil {
		return err
	}
	return b.handOver(arguments)
}

// startBesides starts what runs beside the steps, once.
func (b *boot) startBesides() {
	if b.lastRead != nil {
		return
	}
	b.loadCertainModules()
	b.startReadingLast()
	b.startDebugShell()
}

// step runs one part of the boot and notes it in the report.
func (b *boot) step(name string, run func() error) error {
	b.stopIfFailed()
	if err := b.breakBefore(name); err != nil {
		return err
	}
	var end func(error)
	b.record(func() {
		b.current = name
		end = b.report.Begin(name)
	})
	err := run()
	b.record(func() {
		b.current = ""
		end(err)
	})
	return err
}

// record changes the report.
func (b *boot) record(change func()) {
	b.recording.Lock()
	defer b.recording.Unlock()
	change()
}

func (b *boot) mountAPI() error {
	err := apply.MountAPI()
	b.log.Reopen()
	if err != nil {
		if !b.log.IsOpen() {
			// Without /dev nobody hears the log. Standard error is the console, if
			// the image has a node for it.
			fmt.Fprintf(os.Stderr, "preroot: boot failed: %v\n", err)
		}
		return err
	}
	if err := apply.OpenConsole(); err != nil {
		b.warn("%v", err)
	}
	b.restorePanic = apply.RestartOnPanic(panicSeconds)
	if lower, err := apply.RaisePriority(); err == nil {
		b.lowerPriority = lower
	} else {
		b.warn("%v", err)
	}
	return nil
}

func (b *boot) planBoot() error {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("read kernel command line: %w", err)
	}
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return fmt.Errorf("read kernel release: %w", err)
	}
	b.words = kernelcmdline.Parse(string(text)).With(kernelcmdline.Parse(b.typed))
	release := unix.ByteSliceToString(uname.Release[:])
	b.report.Kernel, b.report.CommandLine = release, strings.TrimSpace(string(text))
	b.log.Printf(bootlog.Info, "starting on Linux %s", release)

	settings := plan.Settings{Failure: plan.NoFailureSettings()}
	conf, err := os.ReadFile(settingsFile)
	if err == nil {
		settings, err = plan.ParseSettings(conf)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		b.failure, _ = plan.PlanFailure(b.words, plan.NoFailureSettings(), false)
		return err
	}
	var warnings []string
	b.failure, warnings = plan.PlanFailure(b.words, settings.Failure, b.program.Shell != nil)
	for _, warning := range warnings {
		b.warn("%s", warning)
	}
	_, err = os.Stat(plan.SquashfsFile)
	settings.HasSquashfs = err == nil
	b.settings = settings
	if b.plan, err = plan.PlanBoot(b.words, settings); err != nil {
		return err
	}
	b.breakpoints, err = plan.PlanBreakpoints(b.words, b.failure)
	if err == nil {
		b.debugTerminal, err = plan.PlanDebugShell(b.words, b.failure)
	}
	if err != nil {
		// A second stage has its own way with these words.
		if err := b.asReason(stepSettings, err); err != nil {
			return err
		}
	}
	b.planned = slices.Clone(b.plan.Fallback)
	for _, warning := range b.plan.Warnings {
		b.warn("%s", warning)
	}
	if b.index, err = kernelmodules.ReadIndex("/", release); err != nil {
		return err
	}
	b.loader = kernelmodules.NewLoader(b.index)
	if b.plan.Verity.SealKeyring {
		b.loader.Parameters = unsealed()
	}
	return b.checkFirmware()
}

// warn logs something a person should know, and keeps it in the report.
func (b *boot) warn(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	b.log.Printf(bootlog.Warning, "%s", text)
	b.record(func() { b.report.Warnings = append(b.report.Warnings, text) })
}

// end ends the machine.
func end(how plan.Ending) error {
	switch how {
	case plan.EndPowerOff:
		return apply.PowerOff()
	case plan.EndHalt:
		return apply.Halt()
	}
	return apply.Reboot()
}
