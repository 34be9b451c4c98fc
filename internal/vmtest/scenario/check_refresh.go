package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// skipMessage is how systemd's tools say that they found everything merged
// already.
const skipMessage = "Skipping extension refresh because no change was found"

var skipChecks = []check{
	{"1 systemd skips its refresh exactly twice", func(e evidence) (string, error) {
		return e.expect("messages", "skipping", "2")
	}},
	{"1 the two messages are from two processes, one a class", func(e evidence) (string, error) {
		lines, err := e.Lines("message-lines")
		if err != nil {
			return "", err
		}
		var senders []string
		for _, line := range lines {
			if !strings.Contains(line, skipMessage) {
				continue
			}
			sender := senderOf(line)
			if slices.Contains(senders, sender) {
				return "", fmt.Errorf("%s said it twice", sender)
			}
			senders = append(senders, sender)
		}
		if len(senders) != 2 {
			return "", fmt.Errorf("%d messages, want 2", len(senders))
		}
		return strings.Join(senders, " and "), nil
	}},
	{"1 systemd's tools merged nothing themselves", func(e evidence) (string, error) {
		return e.expect("messages", "merged", "0")
	}},
	{"1 the directory confext is among the merged", func(e evidence) (string, error) {
		names, err := e.extensions("confext-json", "/etc")
		if err == nil && !slices.Contains(names, "plain") {
			err = fmt.Errorf("confext-json: %s lacks plain", strings.Join(names, " "))
		}
		return strings.Join(names, " "), err
	}},
	{"1 no drop-in changes the two services", func(e evidence) (string, error) {
		return "none", e.expectEmpty("drop-ins")
	}},
}

// senderOf returns the "name[pid]" of a journal line.
func senderOf(line string) string {
	before, _, _ := strings.Cut(line, ": "+skipMessage)
	return before[strings.LastIndexByte(before, ' ')+1:]
}

var mountIDChecks = []check{
	{"2 /etc is the same mount from systemd's start to the end of the start", sameMount("/etc", "mount-ids-complete")},
	{"2 /usr is the same mount from systemd's start to the end of the start", sameMount("/usr", "mount-ids-complete")},
	{"2 systemctl reload of both services succeeds", func(e evidence) (string, error) {
		return e.expect("reload", "exit", "0")
	}},
	{"2 the reload skips both and merges nothing", func(e evidence) (string, error) {
		return e.expectMore("messages-reloaded", "messages", map[string]int{"skipping": 2, "merged": 0, "unmerged": 0})
	}},
	{"2 /etc is the same mount after the reload", sameMount("/etc", "mount-ids-reloaded")},
	{"2 /usr is the same mount after the reload", sameMount("/usr", "mount-ids-reloaded")},
}

// expectMore compares counts of two sections: how much more the later has.
func (e evidence) expectMore(later, earlier string, want map[string]int) (string, error) {
	var proof, wrong []string
	for key, more := range want {
		var counts [2]int
		for i, section := range []string{earlier, later} {
			text, err := e.Value(section, key)
			if err != nil {
				return "", err
			}
			if counts[i], err = strconv.Atoi(text); err != nil {
				return "", fmt.Errorf("%s: %s=%s is no number", section, key, text)
			}
		}
		got := fmt.Sprintf("%s %+d", key, counts[1]-counts[0])
		proof = append(proof, got)
		if counts[1]-counts[0] != more {
			wrong = append(wrong, fmt.Sprintf("%s, want %+d", got, more))
		}
	}
	slices.Sort(proof)
	slices.Sort(wrong)
	if len(wrong) > 0 {
		return "", fmt.Errorf("%s: %s", later, strings.Join(wrong, "; "))
	}
	return strings.Join(proof, ", "), nil
}

// sameMount compares the unique mount id of a place at systemd's start with a
// later one.
func sameMount(target, later string) func(evidence) (string, error) {
	return func(e evidence) (string, error) {
		before, err := e.Value("mount-ids-start", target)
		if err != nil {
			return "", err
		}
		after, err := e.Value(later, target)
		if err != nil {
			return "", err
		}
		if before == "" || before != after {
			return "", fmt.Errorf("id %q at systemd's start, %q in %s", before, after, later)
		}
		return "id " + after, nil
	}
}
