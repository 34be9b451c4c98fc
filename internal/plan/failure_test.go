package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/kernelcmdline"
)

const someHash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

func failureSettings(t *testing.T, text string) FailureSettings {
	t.Helper()
	settings, err := ParseSettings([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return settings.Failure
}

func TestParseFailureSettings(t *testing.T) {
	for text, want := range map[string]FailureSettings{
		"":                                       {Action: ActionReboot, Delay: -1},
		"[Failure]\n":                            {Action: ActionReboot, Delay: -1},
		"[Failure]\nAction=shell\n":              {Action: ActionShell, Delay: -1},
		"[Failure]\nRebootSec=0\n":               {Action: ActionReboot, Delay: 0},
		"[Failure]\nRebootSec=90\nAction=reboot": {Action: ActionReboot, Delay: 90 * time.Second},
		"[Failure]\nTimeoutSec=10\n":             {Action: ActionReboot, Delay: -1, WorkTime: 10 * time.Second},
	} {
		if got := failureSettings(t, text); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
	got := failureSettings(t, "[Failure]\nAction=passphrase\nPassphraseHash="+someHash+"\n")
	if got.Action != ActionPassphrase || got.Passphrase == nil || got.Passphrase.String() != someHash {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		"[Failure]\nAction=Shell\n":                `Action= in [Failure]: "Shell" is none of`,
		"[Failure]\nAction=\n":                     `Action= in [Failure]: "" is none of`,
		"[Failure]\nRebootSec=-1\n":                "RebootSec= in [Failure]",
		"[Failure]\nRebootSec=1h\n":                "RebootSec= in [Failure]",
		"[Failure]\nRebootSec=3601\n":              "RebootSec= in [Failure]",
		"[Failure]\nTimeoutSec=9\n":                `TimeoutSec= in [Failure]: "9" is not a number of seconds from 10 to 3600`,
		"[Failure]\nTimeoutSec=infinity\n":         "TimeoutSec= in [Failure]",
		"[Failure]\nAction=passphrase\n":           "needs PassphraseHash=",
		"[Failure]\nPassphraseHash=secret\n":       "PassphraseHash= in [Failure]: read passphrase hash: it does not look like",
		"[Failure]\nPassphrase=" + someHash + "\n": "unknown setting Passphrase= in [Failure]",
	} {
		if _, err := ParseSettings([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "read preroot.conf: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The command line only tightens.
func TestPlanFailure(t *testing.T) {
	const (
		shell = "[Failure]\nAction=shell\n"
		asked = "[Failure]\nAction=passphrase\nPassphraseHash=" + someHash + "\n"
	)
	second := time.Second
	for _, c := range []struct {
		name, settings, line string
		noShell              bool
		action               Action
		why                  string
		reading, answer      time.Duration
		ending               Ending
		warnings             int
	}{
		{name: "nothing", action: ActionReboot, why: "preroot.conf of this image does not allow", reading: 10 * second},
		{name: "shell", settings: shell, action: ActionShell, reading: 10 * second},
		{name: "passphrase", settings: asked, action: ActionPassphrase, reading: 10 * second, answer: 300 * second},
		{name: "time to answer", settings: shell + "RebootSec=60\n", action: ActionShell, reading: 60 * second, answer: 60 * second},
		{name: "time for a passphrase", settings: asked + "RebootSec=60\n", action: ActionPassphrase, reading: 60 * second, answer: 60 * second},
		{name: "a passphrase never waits for ever", settings: asked + "RebootSec=0\n", action: ActionPassphrase, answer: 300 * second},
		{name: "sealed", settings: shell, noShell: true, action: ActionReboot, why: "profile sealed", reading: 10 * second},
		{name: "rd.shell=0", settings: shell, line: "rd.shell=0", action: ActionReboot, why: "rd.shell=0", reading: 10 * second},
		{name: "rd.shell=no for a passphrase", settings: asked, line: "rd.shell=no", action: ActionReboot, why: "rd.shell=0", reading: 10 * second},
		{name: "rd.shell=1 allows nothing", line: "rd.shell=1", action: ActionReboot, why: "preroot.conf", reading: 10 * second},
		{name: "rd.shell alone allows nothing", line: "rd.shell", action: ActionReboot, why: "preroot.conf", reading: 10 * second},
		{name: "odd rd.shell", settings: shell, line: "rd.shell=maybe", action: ActionReboot, why: "not understood", reading: 10 * second, warnings: 1},
		{name: "panic=-1", settings: shell, line: "panic=-1", action: ActionReboot, why: "panic=-1", reading: 0},
		{name: "panic=0", settings: shell, line: "panic=-1 panic=0", action: ActionShell, reading: 10 * second},
		{name: "panic=30", line: "panic=30", action: ActionReboot, why: "preroot.conf", reading: 30 * second},
		{name: "panic=30 above RebootSec", settings: "[Failure]\nRebootSec=20", line: "panic=30", action: ActionReboot, why: "preroot.conf", reading: 20 * second},
		{name: "panic=30 below RebootSec", settings: "[Failure]\nRebootSec=200", line: "panic=30", action: ActionReboot, why: "preroot.conf", reading: 30 * second},
		{name: "panic= of a year", line: "panic=31536000", action: ActionReboot, why: "preroot.conf", reading: 3600 * second},
		{name: "panic=x", settings: shell, line: "panic=x", action: ActionShell, reading: 10 * second},
		{name: "poweroff", settings: shell, line: "rd.emergency=poweroff", action: ActionShell, reading: 10 * second, ending: EndPowerOff},
		{name: "halt", line: "rd.emergency=halt", action: ActionReboot, why: "preroot.conf", reading: 10 * second, ending: EndHalt},
		{name: "odd ending", line: "rd.emergency=shell", action: ActionReboot, why: "preroot.conf", reading: 10 * second, warnings: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, warnings := PlanFailure(kernelcmdline.Parse(c.line), failureSettings(t, c.settings), !c.noShell)
			if c.ending == "" {
				c.ending = EndReboot
			}
			if f.Action != c.action || f.ReadingTime != c.reading || f.AnswerTime != c.answer || f.Ending != c.ending || len(warnings) != c.warnings {
				t.Errorf("%+v, %q", f, warnings)
			}
			if (c.why == "") != (f.Why == "") || !strings.Contains(f.Why, c.why) {
				t.Errorf("because %q", f.Why)
			}
			if (f.Passphrase != nil) != (f.Action == ActionPassphrase) {
				t.Errorf("passphrase %v", f.Passphrase)
			}
		})
	}
}

func TestPlanBreakpoints(t *testing.T) {
	allowed := Failure{Action: ActionShell}
	for line, want := range map[string][]Breakpoint{
		"":                                  nil,
		"quiet rd.shell=0":                  nil,
		"rd.break":                          {BreakSwitchRoot},
		"rd.break=pre-mount":                {BreakMount},
		"rd.break=pre-merge,cmdline":        {BreakDevices, BreakMerge},
		"rd.break=pre-pivot rd.break=mount": {BreakEtc, BreakSwitchRoot},
		"rd.systemd.break":                  {BreakSwitchRoot},
		"rd.systemd.break=pre-basic":        {BreakVerity},
		"rd.systemd.break=pre-udev":         {BreakDevices},
		"rd.systemd.break=pre-mount":        {BreakMount},
		"rd.systemd.break=pre-switch-root":  {BreakSwitchRoot},
		"rd.earlyshell":                     {BreakDevices, BreakVerity, BreakMount, BreakSwitchRoot},
		"rd.earlyshell=1 rd.break=pre-etc":  {BreakDevices, BreakVerity, BreakMount, BreakEtc, BreakSwitchRoot},
		"rd.earlyshell=0":                   nil,
		"-- rd.break":                       nil,
	} {
		points, err := PlanBreakpoints(kernelcmdline.Parse(line), allowed)
		if err != nil || !slices.Equal(points, want) {
			t.Errorf("%q: %q, %v", line, points, err)
		}
		// Whoever types the command line cannot open a shell that the image does not allow.
		points, err = PlanBreakpoints(kernelcmdline.Parse(line), Failure{Action: ActionReboot, Why: "the image says so"})
		refusal, refused := errors.AsType[*Refusal](err)
		if refused != (want != nil) || refused && (!strings.Contains(refusal.Reason, "no shell is allowed: the image says so") || points != nil) {
			t.Errorf("%q without a shell: %q, %v", line, points, err)
		}
	}
	for _, line := range []string{"rd.break=nowhere", "rd.systemd.break=pre-etc", "rd.break=pre-mount,", "rd.break=", "rd.systemd.break=pre-mount,x"} {
		if points, err := PlanBreakpoints(kernelcmdline.Parse(line), allowed); err == nil {
			t.Errorf("%q: %q", line, points)
		}
	}
}

// The words themselves do not stop a boot.
func TestBreakpointsAreKnownWords(t *testing.T) {
	planLine(t, wholeLine+" rd.break=pre-mount rd.systemd.break rd.earlyshell")
}

func FuzzPlanFailure(f *testing.F) {
	f.Add("rd.break=pre-mount panic=-1 rd.shell=0 rd.emergency=halt")
	f.Add("panic=0x7fffffff rd.break=,,, rd-earlyshell")
	f.Fuzz(func(t *testing.T, line string) {
		words := kernelcmdline.Parse(line)
		strict, _ := PlanFailure(words, NoFailureSettings(), true)
		if strict.Action != ActionReboot || strict.ReadingTime < 0 || strict.ReadingTime > time.Hour {
			t.Errorf("%q: %+v", line, strict)
		}
		if terminal, err := PlanDebugShell(words, strict); terminal != "" {
			t.Errorf("%s: %v, %v", line, terminal, err)
		}
		if points, err := PlanBreakpoints(words, strict); len(points) > 0 {
			t.Errorf("%q: %q, %v", line, points, err)
		}
	})
}

// Every boot has a limit.
func TestWorkTime(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 120 * time.Second, "[Failure]\nTimeoutSec=3600\n": time.Hour} {
		if f, _ := PlanFailure(kernelcmdline.CommandLine{}, failureSettings(t, text), true); f.WorkTime != want {
			t.Errorf("%q: %v", text, f.WorkTime)
		}
	}
}

func TestPlanDebugShell(t *testing.T) {
	allowed, strict := Failure{Action: ActionPassphrase}, Failure{Action: ActionReboot, Why: "the image says so"}
	for line, want := range map[string]string{
		"": "", "quiet": "", "rd.systemd.debug_shell=0": "", "rd.systemd.debug-shell=no": "", "rd.systemd.default_debug_tty=ttyS1": "",
		"rd.systemd.debug_shell":                                          "tty9",
		"rd.systemd.debug_shell=yes":                                      "tty9",
		"rd.systemd.debug_shell=ttyS1":                                    "ttyS1",
		"rd.systemd.debug_shell=/dev/hvc0":                                "hvc0",
		"rd.systemd.debug_shell rd.systemd.default_debug_tty=ttyS2":       "ttyS2",
		"rd.systemd.debug_shell=1 rd.systemd.default_debug_tty=/dev/tty3": "tty3",
		"-- rd.systemd.debug_shell":                                       "",
	} {
		words := kernelcmdline.Parse(line)
		if got, err := PlanDebugShell(words, allowed); got != want || err != nil {
			t.Errorf("%s: %q, %v", line, got, err)
		}
		got, err := PlanDebugShell(words, strict)
		var refusal *Refusal
		if got != "" || (err != nil) != (want != "") || err != nil && (!errors.As(err, &refusal) || !strings.Contains(err.Error(), "the image says so")) {
			t.Errorf("%s, no shell: %q, %v", line, got, err)
		}
	}
	for _, line := range []string{"rd.systemd.debug_shell=", "rd.systemd.debug_shell=../sda", "rd.systemd.debug_shell=/dev/pts/0", "rd.systemd.debug_shell=" + strings.Repeat("x", 33)} {
		if got, err := PlanDebugShell(kernelcmdline.Parse(line), allowed); err == nil {
			t.Errorf("%s: %q", line, got)
		}
	}
	planLine(t, wholeLine+" rd.systemd.debug_shell=ttyS1 rd.systemd.default_debug_tty=ttyS2")
}
