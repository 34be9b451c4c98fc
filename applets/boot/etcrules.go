package boot

import (
	"errors"
	"fmt"
	"os"

	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/etcrules"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// usrSettings lies on the verified /usr.
const usrSettings = "/usr/lib/preroot.conf"

// etcSettings returns what the rules for /etc work with: what the image says, else what the verified /usr says.
func (b *boot) etcSettings(root *rootdir.Root) (plan.EtcRules, error) {
	if b.plan.EtcRules.IsSet() || !b.plan.IsUsrVerified() {
		return b.plan.EtcRules, nil
	}
	text, err := root.ReadFile(usrSettings)
	if errors.Is(err, os.ErrNotExist) {
		return plan.EtcRules{}, nil
	}
	if err != nil {
		return plan.EtcRules{}, err
	}
	settings, err := plan.ParseSettings(text)
	if err != nil {
		return plan.EtcRules{}, fmt.Errorf("%s: %w", usrSettings, err)
	}
	return settings.EtcRules, nil
}

// applyEtcRules runs the rules for /etc on the bare root, where nothing is merged yet. They are not worth a boot: what fails is in the log
// and the report, and is tried again by the next one.
func (b *boot) applyEtcRules() error {
	root, err := rootdir.Open(newRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	settings, err := b.etcSettings(root)
	if err != nil {
		b.warn("the rules for /etc are not applied: %v", err)
		return nil
	}
	if !b.plan.RootTakesWrites() {
		if settings.IsSet() {
			b.warn("the rules for /etc are not applied: the root is mounted read-only")
		}
		return nil
	}
	rules, err := etcrules.Open(root, settings)
	if err != nil {
		b.warn("the rules for /etc are not applied: %v", err)
		return nil
	}
	defer rules.Close()
	b.noteRules(rules.Run(false), settings.IsSet())
	return nil
}

// noteRules puts what was done into the log and the report.
func (b *boot) noteRules(done *etcrules.Plan, configured bool) {
	if !configured && len(done.Actions) == 0 {
		return
	}
	failed := 0
	for _, a := range done.Actions {
		if a.Error != "" {
			failed++
			b.warn("%s", a)
		}
	}
	for _, note := range done.Notes {
		b.warn("%s", note)
	}
	b.log.Printf(bootlog.Info, "rules for /etc: %d changes, %d entries as shipped", len(done.Actions)-failed, done.Count("R7", etcrules.Remove))
	b.record(func() {
		if b.report.Rules == nil {
			b.report.Rules = &bootreport.Rules{Actions: []bootreport.RuleAction{}, Notes: []string{}}
		}
		for _, a := range done.Actions {
			b.report.Rules.Add(bootreport.RuleAction{Rule: a.Rule, Do: string(a.Do), Path: a.Path, Why: a.Why, Error: a.Error})
		}
		b.report.Rules.Notes = append(b.report.Rules.Notes, done.Notes...)
	})
}

// ensureMachineID makes sure that an /etc that will take no writes has a machine-id, which the root could not make any more.
func (m *merger) ensureMachineID(confexts *plan.Merge) {
	settings, err := m.etcSettings(m.root)
	if err != nil || settings.BlankMachineID == "" {
		return
	}
	for _, overlay := range confexts.Overlays {
		if overlay.Hierarchy != "/etc" || overlay.TakesWrites() {
			continue
		}
		rules, err := etcrules.Open(m.root, settings)
		if err != nil {
			m.warn("machine-id: %v", err)
			return
		}
		defer rules.Close()
		m.noteRules(rules.CreateMachineID(), true)
	}
}
