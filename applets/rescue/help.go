package rescue

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/preroot/preroot/applets/rescue/toolbox"
	"github.com/preroot/preroot/internal/bootlog"
)

// task is something that a person wants to do.
type task struct {
	title string
	// lines are shown as they are.
	lines []string
}

const (
	helpColumns = 79
	helpIndent  = 20
)

// tasks are what somebody comes for, in the order of need.
var tasks = []task{
	{"see what failed", []string{"why, report, report --json"}},
	{"look at the disk", []string{"ls /sys/class/block /dev /sysroot; verity dump HASH"}},
	{"repair verity", []string{"verity verify --fec-device=FEC --repair DATA HASH ROOTHASH"}},
	{"a bad extension", []string{"report says which and why: move it away, then resume"}},
	{"boot on", []string{"resume                  again from the step that failed", "resume root=/dev/vda4   with words that count more",
		"exit                    goes on at a breakpoint, else ends", "reboot, poweroff, halt"}},
	{title: "files"}, {title: "network"}, {title: "system"},
}

// toolGroup returns the title of the task that a command is for; empty if it is for none.
var toolGroup = func(name string) string {
	tool, _ := toolbox.Lookup(name)
	return tool.Group
}

// help tells what there is on one screen of 80 columns and 25 lines, or more of one command.
func (s *shell) help(c ownCall) error {
	switch len(c.arguments) {
	case 1:
	case 2:
		return s.helpWith(c, c.arguments[1])
	default:
		return c.fail(2, "usage: %s", ownWords()["help"].usage)
	}
	out := c.Stdout
	fmt.Fprintln(out, "A POSIX shell with bash's words. Tab completes, cursor keys edit and recall,")
	fmt.Fprintln(out, "Ctrl-C ends what runs; no job control. \"help NAME\" tells more of a command.")
	groups := map[string][]string{}
	for _, name := range s.toolNames() {
		group := toolGroup(name)
		if !slices.ContainsFunc(tasks, func(t task) bool { return t.title == group }) {
			group = ""
		}
		groups[group] = append(groups[group], name)
	}
	for _, t := range tasks {
		printTask(out, t.title, append(slices.Clone(t.lines), wrapNames(groups[t.title])...))
	}
	printTask(out, "also", wrapNames(groups[""]))
	return nil
}

// wrapNames lists names beside a title.
func wrapNames(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return bootlog.WrapLines(strings.Join(names, " "), helpColumns-helpIndent)
}

func printTask(out io.Writer, title string, lines []string) {
	for i, line := range lines {
		if i > 0 {
			title = ""
		}
		fmt.Fprintf(out, "%-*s%s\n", helpIndent, title, strings.TrimPrefix(line, "  "))
	}
}

// toolNames are the commands that are no words of the language.
func (s *shell) toolNames() []string {
	return slices.DeleteFunc(s.commandNames(), func(name string) bool {
		return isShellWord(name) && ownWords()[name].run == nil || strings.Contains(name, " ")
	})
}

// helpWith tells more of one command.
func (s *shell) helpWith(c ownCall, name string) error {
	own, isOwn := ownWords()[name]
	switch {
	case isOwn:
		_, err := io.WriteString(c.Stdout, own.text())
		return err
	case slices.Contains(s.applets, name):
		return s.start(c.ctx, c.HandlerContext, self, []string{name, "--help"})
	case isShellWord(name):
		fmt.Fprintf(c.Stdout, "%s is a word of the shell's language (POSIX, with bash's additions).\n", name)
		return nil
	case slices.Contains(toolbox.Names(), name):
		fmt.Fprintf(c.Stdout, "%s is a command of the shell.\n", name)
		return nil
	}
	return c.fail(1, "there is no %q; \"help\" lists what there is", name)
}

// text is the help of a command of the shell itself.
func (w ownWord) text() string {
	return "usage: " + w.usage + "\n" + strings.Join(bootlog.WrapLines(w.about, helpColumns), "\n") + "\n"
}
