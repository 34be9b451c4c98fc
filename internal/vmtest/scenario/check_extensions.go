package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The extensions of the testbed's guest.
var (
	confexts = []string{"00-default", "plain", "user"}
	sysexts  = []string{"tool"}
)

// extensions reads `systemd-confext status --json=short`: what is merged into a
// hierarchy, sorted.
func (e evidence) extensions(section, hierarchy string) ([]string, error) {
	text, err := e.Text(section)
	if err != nil {
		return nil, err
	}
	var table []struct {
		Hierarchy  string
		Extensions any // a list of names, or the word "none"
	}
	if err := json.Unmarshal([]byte(text), &table); err != nil {
		return nil, fmt.Errorf("%s: %w: %.60q", section, err, text)
	}
	for _, row := range table {
		if row.Hierarchy != hierarchy {
			continue
		}
		var names []string
		list, _ := row.Extensions.([]any)
		for _, name := range list {
			names = append(names, fmt.Sprint(name))
		}
		slices.Sort(names)
		return names, nil
	}
	return nil, fmt.Errorf("%s: no hierarchy %s", section, hierarchy)
}

// expectExtensions wants exactly these extensions, whatever their order.
func (e evidence) expectExtensions(section, hierarchy string, want []string) (string, error) {
	names, err := e.extensions(section, hierarchy)
	if err != nil {
		return "", err
	}
	if !slices.Equal(names, want) {
		return "", fmt.Errorf("%s: %s has %v, want %v", section, hierarchy, names, want)
	}
	return hierarchy + ": " + strings.Join(names, " "), nil
}

var toolChecks = []check{
	{"4 veritysetup status usr says verified", func(e evidence) (string, error) {
		text, err := e.Text("veritysetup")
		if err != nil {
			return "", err
		}
		fields := map[string]string{}
		for line := range strings.SplitSeq(text, "\n") {
			if key, value, found := strings.Cut(line, ":"); found {
				fields[strings.TrimSpace(key)] = strings.TrimSpace(value)
			}
		}
		if fields["status"] != "verified" || !strings.Contains(text, "exit=0") {
			return "", fmt.Errorf("veritysetup: %s", text)
		}
		return "status verified, " + fields["type"], nil
	}},
	{"4 dm-verity of usr panics on corruption and is named as libcryptsetup would", proveUsrDevice},
	{"4 every extension image is behind dm-verity", proveImages},
	{"4 systemd-confext status lists what was merged", func(e evidence) (string, error) {
		if _, err := e.expect("confext-status", "exit", "0"); err != nil {
			return "", err
		}
		return e.expectExtensions("confext-json", "/etc", confexts)
	}},
	{"4 systemd-sysext status lists what was merged", func(e evidence) (string, error) {
		if _, err := e.expect("sysext-status", "exit", "0"); err != nil {
			return "", err
		}
		return e.expectExtensions("sysext-json", "/usr", sysexts)
	}},
	{"4 the sysext's file is there", func(e evidence) (string, error) {
		text, err := e.Text("sysext-file")
		if err == nil && text != "sysext" {
			err = errors.New("sysext-file: " + text)
		}
		return text, err
	}},
	{"4 systemd-confext unmerge takes our mount away", proveUnmerge},
	{"4 systemd-confext merge works again", proveMerge},
}

func proveUsrDevice(e evidence) (string, error) {
	table, err := e.Lines("dm-table")
	if err != nil {
		return "", err
	}
	line := find(table, "usr: ")
	if !strings.Contains(line, " verity ") || !strings.Contains(line, " panic_on_corruption") {
		return "", fmt.Errorf("dm-table: %q has no panic_on_corruption", line)
	}
	status, err := e.Lines("dm-status")
	if err != nil {
		return "", err
	}
	if !isHealthy(find(status, "usr: ")) {
		return "", fmt.Errorf("dm-status: %q", find(status, "usr: "))
	}
	info, err := e.Lines("dm-info")
	if err != nil {
		return "", err
	}
	uuid := lastField(find(info, "usr "))
	if !isVerityUUID(uuid, "usr") {
		return "", fmt.Errorf("dm-info: UUID %q, want CRYPT-VERITY-<32 hex digits>-usr", uuid)
	}
	return uuid, nil
}

// proveImages wants a healthy verity device beside usr for each of the three
// images: two confexts and a sysext.
func proveImages(e evidence) (string, error) {
	status, err := e.Lines("dm-status")
	if err != nil {
		return "", err
	}
	var names []string
	for _, line := range status {
		name, rest, _ := strings.Cut(line, ":")
		if name == "usr" || !strings.Contains(rest, " verity ") {
			continue
		}
		if !isHealthy(line) {
			return "", fmt.Errorf("dm-status: %s", line)
		}
		names = append(names, name)
	}
	if len(names) < 3 {
		return "", fmt.Errorf("dm-status: %d verity devices beside usr (%s), want 3", len(names), strings.Join(names, " "))
	}
	return strings.Join(names, " "), nil
}

func proveUnmerge(e evidence) (string, error) {
	if _, err := e.expect("unmerge", "exit", "0"); err != nil {
		return "", err
	}
	if err := e.expectEmpty("etc-mounts-unmerged"); err != nil {
		return "", err
	}
	names, err := e.Lines("etc-unmerged")
	if err != nil {
		return "", err
	}
	if !slices.Contains(names, "testbed-upper") || slices.Contains(names, "testbed-default") {
		return "", fmt.Errorf("etc-unmerged: %s; want testbed-upper and no testbed-default", strings.Join(names, " "))
	}
	return "then /etc has " + strings.Join(names, " "), nil
}

func proveMerge(e evidence) (string, error) {
	if _, err := e.expect("merge", "exit", "0"); err != nil {
		return "", err
	}
	if _, err := e.oneOverlay("etc-mounts-merged", true); err != nil {
		return "", err
	}
	if _, err := e.expectTestFiles("etc-files-merged"); err != nil {
		return "", err
	}
	return e.expectExtensions("confext-json-merged", "/etc", confexts)
}

// isHealthy reads a line of `dmsetup status`: NAME: START LENGTH verity V, and
// on newer kernels more words.
func isHealthy(line string) bool {
	_, status, _ := strings.Cut(line, " verity ")
	return status == "V" || strings.HasPrefix(status, "V ")
}

func isVerityUUID(uuid, name string) bool {
	digits, found := strings.CutPrefix(uuid, "CRYPT-VERITY-")
	if !found {
		return false
	}
	digits, found = strings.CutSuffix(digits, "-"+name)
	return found && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// find returns the first line that starts with prefix, or nothing.
func find(lines []string, prefix string) string {
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	return ""
}

func lastField(line string) string {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}
