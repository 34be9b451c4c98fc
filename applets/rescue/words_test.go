package rescue

import (
	"slices"
	"strings"
	"testing"
)

func TestJoinWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"root=/dev/vda4":                "root=/dev/vda4",
		"root=LABEL=my disk,rd.timeout": `"root=LABEL=my disk" rd.timeout`,
	} {
		var arguments []string
		if text != "" {
			arguments = strings.Split(text, ",")
		}
		if got, err := joinWords(arguments); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "--", "-x", "=a", "a b=c", `a="b"`, "a=b\n", "a=\x1b", strings.Repeat("x", maxWords+1)} {
		if got, err := joinWords([]string{bad}); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestResumeLeavesTheShell(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		state bootState
		want  string // of the words, "-" if there are none
		out   string
	}{
		{"plain", []string{"resume"}, bootState{resumable: true}, "", ""},
		{"with words", []string{"resume root=/dev/vda4 'x=a b'"}, bootState{resumable: true}, `root=/dev/vda4 "x=a b"`, ""},
		{"wrong words", []string{"resume -x", "exit"}, bootState{resumable: true}, "-", "is no word for the kernel command line"},
		{"in a subshell", []string{"(resume); echo here", "exit"}, bootState{resumable: true}, "-", "here\n"},
		{"not possible", []string{"resume", "exit"}, bootState{notResumable: "the root is switched already"}, "-", "resume: the root is switched already\n"},
		{"no boot", []string{"resume", "exit"}, bootState{}, "-", "resume: there is no boot to go on with"},
		{"from a script", []string{"if true; then resume; fi"}, bootState{resumable: true}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, output := newTestShell(t)
			s.boot = c.state
			p := &typist{lines: c.lines}
			if _, lost := s.interact(p, func() {}); lost || len(p.lines) > 0 {
				t.Errorf("lost %v, left %q", lost, p.lines)
			}
			got := "-"
			if s.resume != nil {
				got = *s.resume
			}
			if got != c.want || !strings.Contains(output(), c.out) {
				t.Errorf("words %q, output\n%s", got, output())
			}
		})
	}
}

func TestWhyAndHelp(t *testing.T) {
	s, output := newTestShell(t)
	s.boot.why = "It failed (PR-X):\nno disk\n"
	s.runText("why; help why; resume --help; help cd; help cat; help nonsense; help a b; why x", "sh")
	for _, want := range []string{"It failed (PR-X):\nno disk\n", "usage: why\nTells again", "usage: resume [WORD[=VALUE]...]\n", "cd is a word of the shell's language",
		"help: there is no \"nonsense\"", "help: usage: help [NAME]\n", "why: usage: why\n"} {
		if !strings.Contains(output(), want) {
			t.Errorf("no %q in\n%s", want, output())
		}
	}
	s, output = newTestShell(t)
	if code := s.runText("why", "sh"); code != 1 || !strings.Contains(output(), "not opened by a boot") {
		t.Errorf("%d, %s", code, output())
	}
}

// The commands of the tasks are there, and all of it fits one screen with the prompt.
func TestHelpIsOneScreenAndTrue(t *testing.T) {
	s, output := newTestShell(t)
	s.runText("help", "sh")
	if rows := strings.Count(output(), "\n"); rows > 24 {
		t.Errorf("%d rows:\n%s", rows, output())
	}
	// Commands stand beside what they are for.
	group := toolGroup
	defer func() { toolGroup = group }()
	toolGroup = func(name string) string { return map[string]string{"cat": "files", "ls": "nowhere"}[name] }
	t2, sorted := newTestShell(t)
	t2.runText("help", "sh")
	if text := sorted(); !strings.Contains(text, "files               cat\n") || strings.Count(text, " cat") != 1 || !strings.Contains(text, " ls ") {
		t.Errorf("%s", text)
	}
	names := s.commandNames()
	for _, task := range tasks {
		for _, line := range task.lines {
			for command := range strings.SplitSeq(strings.NewReplacer(", ", ";", "; ", ";").Replace(line), ";") {
				first, _, _ := strings.Cut(command, " ")
				if task.title != "a bad extension" && !slices.Contains(names, first) {
					t.Errorf("%s: there is no %q", task.title, first)
				}
			}
		}
	}
}
