package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/passphrase"
)

const failureSection = "Failure"

// Action is what happens when a boot cannot go on.
type Action string

// The actions, the strictest first. A shell is offered at once, or behind a passphrase.
const (
	ActionReboot     Action = "reboot"
	ActionPassphrase Action = "passphrase"
	ActionShell      Action = "shell"
)

// Ending is how a failed machine ends.
type Ending string

// The endings (dracut.cmdline(7), rd.emergency=).
const (
	EndReboot   Ending = "reboot"
	EndPowerOff Ending = "poweroff"
	EndHalt     Ending = "halt"
)

const (
	// DefaultReadingTime is how long a failure stays on the screen before the machine restarts.
	DefaultReadingTime = 10 * time.Second
	// DefaultAnswerTime is how long a passphrase is waited for.
	DefaultAnswerTime = 300 * time.Second
	longestDelay      = 3600
	// DefaultWorkTime is how long a boot may take besides the wait for devices.
	DefaultWorkTime  = 120 * time.Second
	shortestWorkTime = 10
)

// FailureSettings are those of [Failure] in preroot.conf.
type FailureSettings struct {
	Action Action
	// Delay is RebootSec=, negative if it is not given.
	Delay time.Duration
	// WorkTime is TimeoutSec=, 0 if it is not given.
	WorkTime time.Duration
	// Passphrase is nil if there is none.
	Passphrase *passphrase.Hash
}

// NoFailureSettings are those of an image that says nothing, the strictest.
func NoFailureSettings() FailureSettings { return FailureSettings{Action: ActionReboot, Delay: -1} }

// read reads the section:
//
//	[Failure]
//	Action=reboot|shell|passphrase
//	RebootSec=SECONDS
//	TimeoutSec=SECONDS
//	PassphraseHash=$argon2id$...
func (s *FailureSettings) read(file *inifile.File) error {
	*s = NoFailureSettings()
	for _, key := range file.Keys(failureSection) {
		for _, value := range file.All(failureSection, key) {
			var err error
			switch key {
			case "Action":
				s.Action = Action(value)
				if !slices.Contains([]Action{ActionReboot, ActionPassphrase, ActionShell}, s.Action) {
					err = fmt.Errorf("%.20q is none of reboot, shell, passphrase", value)
				}
			case "RebootSec":
				s.Delay, err = parseSeconds(value, 0)
			case "TimeoutSec":
				s.WorkTime, err = parseSeconds(value, shortestWorkTime)
			case "PassphraseHash":
				var hash passphrase.Hash
				hash, err = passphrase.Parse(value)
				s.Passphrase = &hash
			default:
				return fmt.Errorf("unknown setting %s= in [%s]", key, failureSection)
			}
			if err != nil {
				return fmt.Errorf("%s= in [%s]: %w", key, failureSection, err)
			}
		}
	}
	if s.Action == ActionPassphrase && s.Passphrase == nil {
		return fmt.Errorf("in [%s] Action=passphrase needs PassphraseHash=; mkpreroot passphrase-hash makes one", failureSection)
	}
	return nil
}

func parseSeconds(value string, least uint64) (time.Duration, error) {
	seconds, err := strconv.ParseUint(value, 10, 32)
	if err != nil || seconds < least || seconds > longestDelay {
		return 0, fmt.Errorf("%.20q is not a number of seconds from %d to %d", value, least, longestDelay)
	}
	return time.Duration(seconds) * time.Second, nil
}

// Failure says what happens when this boot cannot go on.
type Failure struct {
	Action Action
	// Why says what forbids a shell; empty if one is allowed.
	Why string
	// Passphrase is set for ActionPassphrase.
	Passphrase *passphrase.Hash
	// ReadingTime is how long the failure stays on the screen before the end, negative if the kernel's panic= decides.
	ReadingTime time.Duration
	// AnswerTime is how long somebody is waited for at the prompt of a shell or passphrase; 0 for ever, which a
	// passphrase never has.
	AnswerTime time.Duration
	// WorkTime is how long all but the wait for devices may take before the boot counts as hanging.
	WorkTime time.Duration
	Ending   Ending
}

// PlanFailure tightens the image's settings by the kernel command line, which never loosens them: rd.shell=0 takes the
// shell away, as does a panic= that is not 0 (initramfs-tools(7)), which also says how long the failure can be read at
// most; rd.emergency= says how a failed machine ends (dracut.cmdline(7)). hasShell tells whether the program has one.
func PlanFailure(words kernelcmdline.CommandLine, settings FailureSettings, hasShell bool) (f Failure, warnings []string) {
	f = Failure{Action: settings.Action, Passphrase: settings.Passphrase, ReadingTime: settings.Delay, WorkTime: settings.WorkTime, Ending: EndReboot}
	if f.WorkTime == 0 {
		f.WorkTime = DefaultWorkTime
	}
	refuse := func(why string) {
		if f.Action != ActionReboot {
			f.Action, f.Why = ActionReboot, why
		}
	}
	if f.Action == ActionReboot {
		f.Why = "preroot.conf of this image does not allow a shell (Action= in [Failure])"
	}
	if !hasShell {
		refuse("this preroot has no shell (profile sealed)")
	}
	if wanted, err := words.Bool("rd.shell", true); err != nil {
		warnings = append(warnings, err.Error())
		refuse("rd.shell= on the kernel command line is not understood")
	} else if !wanted {
		refuse("rd.shell=0 on the kernel command line")
	}
	if text, ok := words.Value("panic"); ok {
		if seconds, err := strconv.ParseInt(text, 0, 32); err == nil && seconds != 0 {
			refuse("panic=" + shorten(text) + " on the kernel command line asks for a restart")
			delay := time.Duration(min(max(seconds, 0), longestDelay)) * time.Second
			if settings.Delay < 0 || delay < settings.Delay {
				f.ReadingTime = delay
			}
		}
	}
	if f.ReadingTime < 0 {
		f.ReadingTime = DefaultReadingTime
	}
	if text, ok := words.Value("rd.emergency"); ok {
		switch ending := Ending(text); ending {
		case EndReboot, EndPowerOff, EndHalt:
			f.Ending = ending
		default:
			warnings = append(warnings, "rd.emergency="+shorten(text)+": neither reboot, poweroff nor halt; the machine restarts")
		}
	}
	if f.Action != ActionPassphrase {
		f.Passphrase = nil
	}
	if f.Action != ActionReboot {
		f.AnswerTime = max(settings.Delay, 0)
	}
	if f.Action == ActionPassphrase && f.AnswerTime == 0 {
		f.AnswerTime = DefaultAnswerTime
	}
	return f, warnings
}

// Breakpoint is a place of the boot where it can be stopped for a shell.
type Breakpoint string

// The breakpoints, in their order.
const (
	BreakDevices    Breakpoint = "pre-devices"
	BreakVerity     Breakpoint = "pre-verity"
	BreakMount      Breakpoint = "pre-mount"
	BreakEtc        Breakpoint = "pre-etc"
	BreakMerge      Breakpoint = "pre-merge"
	BreakSwitchRoot Breakpoint = "pre-switch-root"
)

// Breakpoints are all, in their order.
var Breakpoints = []Breakpoint{BreakDevices, BreakVerity, BreakMount, BreakEtc, BreakMerge, BreakSwitchRoot}

// breakName is what others call one of the places.
type breakName struct {
	name  string
	point Breakpoint
}

// The names of dracut.cmdline(7) for rd.break=, and of systemd's kernel-command-line(7) for rd.systemd.break=. A word alone is the last place.
var (
	dracutBreaks = []breakName{
		{"cmdline", BreakDevices}, {"pre-udev", BreakDevices}, {"pre-trigger", BreakDevices}, {"initqueue", BreakDevices},
		{"mount", BreakEtc}, {"pre-pivot", BreakSwitchRoot}, {"cleanup", BreakSwitchRoot},
	}
	systemdBreaks = []breakName{
		{"pre-udev", BreakDevices}, {"pre-basic", BreakVerity}, {"pre-mount", BreakMount}, {"pre-switch-root", BreakSwitchRoot},
	}
)

// breakNames returns the names that a word takes, nil if it is no such word.
func breakNames(key string) []breakName {
	switch key {
	case "rd.break":
		return dracutBreaks
	case "rd.systemd.break":
		return systemdBreaks
	}
	return nil
}

// findBreak returns the place that a name stands for, "" if it is none.
func findBreak(names []breakName, name string) Breakpoint {
	for _, known := range names {
		if known.name == name {
			return known.point
		}
	}
	return ""
}

// earlyShell are the four places of Flatcar's rd.earlyshell: before the search for devices, before verity, before /usr is
// mounted, and before the switch.
var earlyShell = []Breakpoint{BreakDevices, BreakVerity, BreakMount, BreakSwitchRoot}

// PlanBreakpoints reads where the boot shall stop for a shell. Who may type the kernel command line may not open a shell
// by it that the image does not allow: the boot is refused then.
func PlanBreakpoints(words kernelcmdline.CommandLine, failure Failure) ([]Breakpoint, error) {
	wanted := map[Breakpoint]bool{}
	for _, word := range words.Words() {
		key := strings.ReplaceAll(word.Key, "-", "_")
		names := breakNames(key)
		early := key == "rd.earlyshell" && (!word.HasValue || word.Value != "0")
		if names == nil && !early {
			continue
		}
		if failure.Action == ActionReboot {
			return nil, &Refusal{
				Reason: fmt.Sprintf("the kernel command line has %s, but no shell is allowed: %s", shorten(word.String()), failure.Why),
				Advice: "remove the word, or build the image with Action=shell or Action=passphrase in [Failure] of preroot.conf",
			}
		}
		if early {
			for _, point := range earlyShell {
				wanted[point] = true
			}
			continue
		}
		if !word.HasValue {
			wanted[BreakSwitchRoot] = true
			continue
		}
		for name := range strings.SplitSeq(word.Value, ",") {
			point := findBreak(names, name)
			if point == "" && key == "rd.break" && slices.Contains(Breakpoints, Breakpoint(name)) {
				point = Breakpoint(name)
			}
			if point == "" {
				return nil, &Refusal{
					Reason: fmt.Sprintf("the kernel command line has %s, and there is no such place", shorten(word.String())),
					Advice: fmt.Sprintf("rd.break= takes %v", Breakpoints),
				}
			}
			wanted[point] = true
		}
	}
	var points []Breakpoint
	for _, point := range Breakpoints {
		if wanted[point] {
			points = append(points, point)
		}
	}
	return points, nil
}

// defaultDebugTerminal is systemd's own (systemd-debug-generator(8)).
const defaultDebugTerminal = "tty9"

// PlanDebugShell reads on which terminal a shell is open beside the boot, as systemd-debug-generator(8) has it: rd.systemd.debug_shell, with
// a value for yes or no or with a terminal, and rd.systemd.default_debug_tty= for which one it is without. It is empty if none is wanted.
// As for breakpoints, the boot is refused if no shell is allowed.
func PlanDebugShell(words kernelcmdline.CommandLine, failure Failure) (terminal string, err error) {
	const key, defaultKey = "rd.systemd.debug_shell", "rd.systemd.default_debug_tty"
	if !words.Has(key) {
		return "", nil
	}
	terminal = defaultDebugTerminal
	if name, ok := words.Value(defaultKey); ok && name != "" {
		terminal = name
	}
	if wanted, err := words.Bool(key, true); err != nil {
		terminal, _ = words.Value(key)
	} else if !wanted {
		return "", nil
	}
	terminal = strings.TrimPrefix(terminal, "/dev/")
	if failure.Action == ActionReboot {
		return "", &Refusal{
			Reason: fmt.Sprintf("the kernel command line has %s, but no shell is allowed: %s", key, failure.Why),
			Advice: "remove the word, or build the image with Action=shell or Action=passphrase in [Failure] of preroot.conf",
		}
	}
	if !isTerminalName(terminal) {
		return "", &Refusal{
			Reason: fmt.Sprintf("%s names %q, which is no terminal", key, shorten(terminal)),
			Advice: "name one as it is called below /dev, such as ttyS1",
		}
	}
	return terminal, nil
}

// isTerminalName reports whether a name can be one of a terminal: letters and digits.
func isTerminalName(name string) bool {
	return name != "" && len(name) <= 32 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
