package main

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestManualHasTheOptions: man/mkpreroot.8 describes what the program takes, and nothing else; and so does the help.
func TestManualHasTheOptions(t *testing.T) {
	text, err := os.ReadFile("../../man/mkpreroot.8")
	if err != nil {
		t.Fatal(err)
	}
	find := func(pattern, text string) []string {
		seen := make(map[string]bool)
		var names []string
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			if !seen[match[1]] {
				seen[match[1]] = true
				names = append(names, match[1])
			}
		}
		slices.Sort(names)
		return names
	}
	described := find(`(?m)^\.It .*Fl Fl ([a-z-]+)`, string(text))
	printed := find(`(?m)^ +(?:-[a-z], )?--([a-z-]+)`, buildUsage()+listUsage+verifyUsage)
	if !slices.Equal(described, printed) {
		t.Errorf("the manual has\n%v\nthe help\n%v", described, printed)
	}
	taken := []string{"config", "help", "manifest", "rebuild", "why"}
	for _, o := range buildOptions {
		taken = append(taken, o.name)
	}
	slices.Sort(taken)
	if !slices.Equal(printed, taken) {
		t.Errorf("the help has\n%v\nthe program takes\n%v", printed, taken)
	}
	for _, key := range find(`(?m)^([A-Z][A-Za-z]+)=`, string(text)) {
		if !slices.Contains(configKeys(), key+"=") {
			t.Errorf("the manual has the key %s, the program has not", key)
		}
	}
}
