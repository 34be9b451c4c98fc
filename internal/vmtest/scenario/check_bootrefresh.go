package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// spareMessage is how the program that the boot left says that nothing is to be done, againMessage how it says that
// something is.
const (
	spareMessage = "nothing changed since preroot merged"
	againMessage = "Merging again: "
)

// CheckBootRefresh judges the report of a guest whose services were started, stopped and refreshed in every way, after
// a first start that had to do nothing. skips says that its systemd has a skip rule of its own.
func CheckBootRefresh(r *Report, skips bool) []Finding {
	checks := []check{
		{"the first start does nothing, once for each service, and says so", proveSpared},
		{"/etc and /usr are the mounts of the initramfs after the first start", sameAsAtStart("first")},
		{"the program and its stamp are gone", proveGone},
		{"both services have the drop-in", func(e evidence) (string, error) {
			text, err := e.Text("drop-ins")
			if err == nil && strings.Count(text, "zz-preroot.conf") != 2 {
				err = errors.New("drop-ins: " + text)
			}
			return text, err
		}},
		{"the first start leaves a right /etc", rightEtc("first")},
		{"reload leaves a right /etc", rightEtc("reload")},
		{"restart merges anew", otherThan("restart", "reload")},
		{"restart leaves a right /etc", rightEtc("restart")},
		{"stop unmerges", func(e evidence) (string, error) {
			return e.expect("stop", "exit", "0", "etc-overlays", "0", "usr-overlays", "0", "testbed-default", "absent", "testbed-upper", "upper",
				"sysext", "absent", "confext", "inactive", "sysext-service", "inactive")
		}},
		{"start after stop leaves a right /etc", rightEtc("start")},
		{"a refresh by hand leaves a right /etc", rightEtc("manual")},
		{"a soft reboot leaves a right /etc", rightEtc("soft-reboot")},
		{"there was one soft reboot", func(e evidence) (string, error) {
			text, err := e.Text("soft-reboots")
			if err == nil && text != "1" {
				err = errors.New("SoftRebootsCount=" + text)
			}
			return text, err
		}},
		{"nothing was spared later on", proveSparedOnce},
		{"no unit failed", func(e evidence) (string, error) {
			for section, want := range map[string]string{"state": "running", "state-before": "running", "state-soft": "running", "failed": "", "failed-soft": ""} {
				text, err := e.Text(section)
				if err == nil && text != want {
					err = fmt.Errorf("%s: %q", section, text)
				}
				if err != nil {
					return "", err
				}
			}
			return "running", nil
		}},
	}
	if skips {
		checks = append(checks, check{"reload is systemd's own, which skips", sameMounts("reload", "first")})
	} else {
		checks = append(checks, check{"reload is systemd's own, which merges anew", otherThan("reload", "first")})
	}
	return judgeAll(r, checks)
}

// CheckLateExtensions judges the report of a guest to which an extension of each class was added before the first start.
func CheckLateExtensions(r *Report) []Finding {
	return judgeAll(r, []check{
		{"both services say why they merge again", func(e evidence) (string, error) {
			lines, err := e.linesWith("messages", againMessage)
			if err == nil && len(lines) != 2 {
				err = fmt.Errorf("messages: %d lines with %q, want 2: %s", len(lines), againMessage, strings.Join(lines, " | "))
			}
			return strings.Join(lines, " | "), err
		}},
		{"nothing was spared", func(e evidence) (string, error) {
			lines, err := e.linesWith("messages", spareMessage)
			if err == nil && len(lines) > 0 {
				err = errors.New(strings.Join(lines, " | "))
			}
			return "no such message", err
		}},
		{"what was added is merged", func(e evidence) (string, error) {
			return e.expect("first", "testbed-late", "late", "sysext-late", "late")
		}},
		{"all else is there as well", rightEtc("first")},
		{"the program and its stamp are gone", proveGone},
		{"no unit failed", func(e evidence) (string, error) {
			text, err := e.Text("state")
			if err == nil && text != "running" {
				err = errors.New("state: " + text)
			}
			return text, errors.Join(err, e.expectEmpty("failed"))
		}},
	})
}

func judgeAll(r *Report, checks []check) []Finding {
	var findings []Finding
	for _, c := range checks {
		proof, err := c.prove(evidence{r, ""})
		f := Finding{Point: c.point, OK: err == nil, Detail: proof}
		if err != nil {
			f.Detail = err.Error()
		}
		findings = append(findings, f)
	}
	return findings
}

func (e evidence) linesWith(section, text string) ([]string, error) {
	lines, err := e.Lines(section)
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.Contains(line, text) }), err
}

func proveSpared(e evidence) (string, error) {
	lines, err := e.Lines("messages")
	if err != nil {
		return "", err
	}
	// Nobody else says anything: no merge, no unmerge, no skip of systemd's.
	if len(lines) != 2 {
		return "", fmt.Errorf("messages: %d lines, want 2: %s", len(lines), strings.Join(lines, " | "))
	}
	for _, want := range []string{
		"systemd-confext", spareMessage + " plain, user, 00-default into /etc",
		"systemd-sysext", spareMessage + " tool into /usr",
	} {
		if !strings.Contains(strings.Join(lines, "\n"), want) {
			return "", fmt.Errorf("messages: no %q in %s", want, strings.Join(lines, " | "))
		}
	}
	return strings.Join(lines, " | "), nil
}

// proveSparedOnce counts over the whole journal, soft reboot included.
func proveSparedOnce(e evidence) (string, error) {
	for _, section := range []string{"messages", "messages-before", "messages-soft"} {
		lines, err := e.linesWith(section, spareMessage)
		if err != nil {
			return "", err
		}
		if len(lines) != 2 {
			return "", fmt.Errorf("%s: %d lines with %q, want the 2 of the first start", section, len(lines), spareMessage)
		}
	}
	return "two lines in the whole journal", nil
}

func proveGone(e evidence) (string, error) {
	lines, err := e.Lines("left")
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "/run/preroot/boot-refresh") {
			return "", errors.New("left: " + line)
		}
	}
	return strings.Join(lines, " | "), nil
}

// rightEtc wants one overlay on each hierarchy, the files of all layers, writable, and both services active.
func rightEtc(section string) func(evidence) (string, error) {
	return func(e evidence) (string, error) {
		pairs := []string{"etc-overlays", "1", "usr-overlays", "1", "testbed-default", "default", "testbed-user", "user", "testbed-plain", "plain",
			"testbed-override", "default", "testbed-upper", "upper", "sysext", "sysext", "write", "written", "confext", "active", "sysext-service", "active"}
		if section != "first" && section != "soft-reboot" {
			pairs = append(pairs, "exit", "0")
		}
		return e.expect(section, pairs...)
	}
}

func sameAsAtStart(section string) func(evidence) (string, error) {
	return sameMounts(section, "mount-ids-start")
}

func sameMounts(section, as string) func(evidence) (string, error) {
	return func(e evidence) (string, error) {
		var proof []string
		for _, target := range []string{"/etc", "/usr"} {
			now, err := e.Value(section, target)
			was, err2 := e.Value(as, target)
			if err := errors.Join(err, err2); err != nil {
				return "", err
			}
			if now == "" || now != was {
				return "", fmt.Errorf("%s is mount %s in %s and %s in %s", target, was, as, now, section)
			}
			proof = append(proof, target+" is mount "+now)
		}
		return strings.Join(proof, ", "), nil
	}
}

// otherThan wants another mount on each hierarchy.
func otherThan(section, than string) func(evidence) (string, error) {
	return func(e evidence) (string, error) {
		for _, target := range []string{"/etc", "/usr"} {
			now, err := e.Value(section, target)
			was, err2 := e.Value(than, target)
			if err := errors.Join(err, err2); err != nil {
				return "", err
			}
			if now == was {
				return "", fmt.Errorf("%s is mount %s as before", target, now)
			}
		}
		return e.expect(section, "exit", "0")
	}
}
