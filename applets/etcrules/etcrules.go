// Package etcrules is the applet that runs the rules for /etc alone, for other initrds: on a root that is mounted, with its /usr below it, and
// that nothing runs from.
package etcrules

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/etcrules"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/jsontext"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

const usage = `usage: etc-rules --root=DIR [--conf=FILE] [--dry-run] [--json]
Keep the writable /etc of the root at DIR in step with what its /usr ships: undo
an earlier merge, reset, take back deletions that cannot stay, complete account
files and base directories, drop a blank machine id, and remove what equals the
shipped version. Nothing is merged: "preroot merge --root=DIR merge" does that.

  --root=DIR    the root, with /usr mounted below it; not the running system's
  --conf=FILE   settings ([EtcRules] of preroot.conf); normally those of
                /etc/preroot.conf, or of DIR/usr/lib/preroot.conf
  --dry-run     print what would be done
  --json        print it as JSON
`

// session is one call of the applet.
type session struct {
	root, conf     string
	dryRun, json   bool
	stdout, stderr io.Writer
	// ownConf is the settings file of this initramfs.
	ownConf string
}

// Main runs the applet; arguments[0] is its name. It returns 0, 1 if something failed, or 2 for wrong usage.
func Main(arguments []string) int {
	s := &session{stdout: os.Stdout, stderr: os.Stderr, ownConf: "/etc/preroot.conf"}
	return s.run(arguments[1:])
}

func (s *session) run(arguments []string) int {
	for i := 0; i < len(arguments); i++ {
		name, value, hasValue := strings.Cut(arguments[i], "=")
		switch {
		case arguments[i] == "--help" || arguments[i] == "-h":
			fmt.Fprint(s.stdout, usage)
			return 0
		case arguments[i] == "--dry-run":
			s.dryRun = true
		case arguments[i] == "--json":
			s.json = true
		case name == "--root" || name == "--conf":
			if !hasValue {
				if i++; i < len(arguments) {
					value = arguments[i]
				}
			}
			if name == "--root" {
				s.root = value
			} else {
				s.conf = value
			}
		default:
			fmt.Fprintf(s.stderr, "etc-rules: %q is not understood\n%s", arguments[i], usage)
			return 2
		}
	}
	if s.root == "" {
		fmt.Fprint(s.stderr, usage)
		return 2
	}
	if err := s.work(); err != nil {
		fmt.Fprintf(s.stderr, "etc-rules: %v\n", err)
		return 1
	}
	return 0
}

func (s *session) work() error {
	root, err := s.openRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	if may, err := observe.MayMount(); err == nil && !may {
		return errors.New("this takes privileges: without CAP_SYS_ADMIN the marks of overlayfs cannot be seen")
	}
	settings, from, err := s.readSettings(root)
	if err != nil {
		return err
	}
	if !settings.IsSet() {
		fmt.Fprintf(s.stderr, "etc-rules: nothing to do: %s has no [EtcRules]\n", from)
	}
	unmerged, err := s.unmerge(root)
	if err != nil {
		return err
	}
	rules, err := etcrules.Open(root, settings)
	if err != nil {
		return err
	}
	defer rules.Close()
	done := rules.Run(s.dryRun)
	if err := s.print(done, unmerged); err != nil {
		return err
	}
	failed := 0
	for _, a := range done.Actions {
		if a.Error != "" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d changes failed; they are tried again at the next run", failed, len(done.Actions))
	}
	return nil
}

// openRoot opens the root, and refuses that of the running system: nothing may be removed below a live overlay.
func (s *session) openRoot() (*rootdir.Root, error) {
	absolute, err := filepath.Abs(s.root)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err != nil {
		return nil, err
	}
	root, err := rootdir.Open(absolute)
	if err != nil {
		return nil, err
	}
	top, err := root.Resolve("/")
	if err == nil {
		defer top.Close()
		var own *rootdir.Root
		if own, err = rootdir.Open("/"); err == nil {
			defer own.Close()
			var running *rootdir.Entry
			if running, err = own.Resolve("/"); err == nil {
				defer running.Close()
				if running.SameAs(top) {
					err = fmt.Errorf("%s is the root of the running system, whose /etc is in use; \"preroot merge drift\" looks at that", s.root)
				}
			}
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// readSettings takes the file that was named, else that of the initramfs if it has something to say, else that of the root's /usr.
func (s *session) readSettings(root *rootdir.Root) (rules plan.EtcRules, from string, err error) {
	from = s.conf
	var text []byte
	if from != "" {
		text, err = os.ReadFile(from)
	} else {
		from = s.ownConf
		text, err = os.ReadFile(from)
		if err == nil {
			settings, err := plan.ParseSettings(text)
			if err != nil || settings.EtcRules.IsSet() {
				return settings.EtcRules, from, err
			}
		}
		from = root.Host("/usr/lib/preroot.conf")
		text, err = root.ReadFile("/usr/lib/preroot.conf")
		if errors.Is(err, os.ErrNotExist) {
			return rules, from, nil
		}
	}
	if err != nil {
		return rules, from, err
	}
	settings, err := plan.ParseSettings(text)
	if err != nil {
		err = fmt.Errorf("%s: %w", from, err)
	}
	return settings.EtcRules, from, err
}

// unmerge is R0: what an earlier try has merged goes first. It tells whether something was merged.
func (s *session) unmerge(root *rootdir.Root) (bool, error) {
	found := false
	for {
		merged, err := extension.ReadMerged(root, osrelease.ClassConfext, "/etc")
		if err != nil || merged == nil {
			return found, err
		}
		if found = true; s.dryRun {
			return found, errors.New("confexts are merged into /etc; unmerge them first, or run without --dry-run")
		}
		if err := apply.NewBareWorkspace(apply.Environment{Root: root}).Unmerge(merged, string(osrelease.ClassConfext)); err != nil {
			return found, fmt.Errorf("undo the earlier merge: %w", err)
		}
	}
}

func (s *session) print(done *etcrules.Plan, unmerged bool) error {
	record := bootreport.Rules{DryRun: s.dryRun, Unmerged: unmerged, Actions: []bootreport.RuleAction{}, Notes: append([]string{}, done.Notes...)}
	for _, a := range done.Actions {
		record.Actions = append(record.Actions, bootreport.RuleAction{Rule: a.Rule, Do: string(a.Do), Path: a.Path, Why: a.Why, Error: a.Error})
	}
	if s.json {
		_, err := fmt.Fprintf(s.stdout, "%s\n", jsontext.Encode("  ", record.Fields))
		return err
	}
	if unmerged {
		fmt.Fprintln(s.stdout, "R0: undid an earlier merge")
	}
	for _, a := range done.Actions {
		fmt.Fprintln(s.stdout, bootlog.Printable(a.String()))
	}
	for _, note := range done.Notes {
		fmt.Fprintln(s.stderr, bootlog.Printable("etc-rules: "+note))
	}
	return nil
}
