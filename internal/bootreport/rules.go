package bootreport

import "fmt"

// maxRuleActions bounds what the report of a boot lists: an old /etc can melt down by thousands of files, and the report lies in memory.
const maxRuleActions = 500

// Rules is what the rules for /etc did.
type Rules struct {
	DryRun bool `json:"dryRun,omitempty"`
	// Unmerged: an earlier merge was undone first.
	Unmerged bool         `json:"unmerged,omitempty"`
	Actions  []RuleAction `json:"actions"`
	// Omitted counts the actions that are not listed.
	Omitted int      `json:"omitted,omitempty"`
	Notes   []string `json:"notes"`
}

// RuleAction is one change, with the path inside the root. Paths that are not UTF-8 have replacement characters.
type RuleAction struct {
	Rule  string `json:"rule"`
	Do    string `json:"do"`
	Path  string `json:"path"`
	Why   string `json:"why"`
	Error string `json:"error,omitempty"`
}

// Add notes an action as long as there is room.
func (r *Rules) Add(a RuleAction) {
	if len(r.Actions) >= maxRuleActions && a.Error == "" {
		r.Omitted++
		return
	}
	r.Actions = append(r.Actions, a)
}

// rules renders what the rules did.
func (w *writer) rules(r *Rules) {
	if r == nil {
		return
	}
	w.printf("/etc rules: %d changes\n", len(r.Actions)+r.Omitted)
	for _, a := range r.Actions {
		why := "(" + a.Why + ")"
		if a.Error != "" {
			why += ", FAILED: " + a.Error
		}
		w.item(fmt.Sprintf("  %s %s %s", a.Rule, a.Do, a.Path), why)
	}
	if r.Omitted > 0 {
		w.printf("  and %d more\n", r.Omitted)
	}
	for _, note := range r.Notes {
		w.wrap("  ", note)
	}
}
