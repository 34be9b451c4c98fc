package rescue

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newTestShell returns a shell that runs no programs but its own commands, and how to read what it printed.
func newTestShell(t *testing.T, parameters ...string) (s *shell, output func() string) {
	t.Helper()
	t.Chdir(t.TempDir())
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create("../output")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		null.Close()
		out.Close()
	})
	if s, err = newShell([]string{"report", "verity"}, streams{null, out, out}, "sh", parameters); err != nil {
		t.Fatal(err)
	}
	return s, func() string {
		text, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestScripts(t *testing.T) {
	for _, c := range []struct {
		script, want string
		code         int
	}{
		{"echo hello", "hello\n", 0},
		{"x=3; while [ $x -gt 0 ]; do printf %s $x; x=$((x-1)); done", "321", 0},
		{"echo one >f; echo two >>f; cat f", "one\ntwo\n", 0},
		{"echo one >f; mkdir_() { :; }; ls", "f\n", 0},
		{"echo $1-$#", "a-2\n", 0},
		{"echo a | { read y; echo $y$y; }", "aa\n", 0},
		{"exit 7", "", 7},
		{"false", "", 1},
		{"nosuchprogram x", "nosuchprogram: not found; \"help\" lists what there is\n", 127},
		{"echo )", "sh: sh:1:6: a command can only contain words and redirects; encountered `)`\n", 2},
		{"cat nothing", "cat: DIR/nothing: no such file or directory\n", 1},
		{"ls nothing", "ls: nothing: no such file or directory\n", 2},
		{"echo one | cat - >f && cd .. && cat $OLDPWD/f", "one\n", 0},
	} {
		s, output := newTestShell(t, "a", "b")
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		code := s.runText(c.script, "sh")
		if got := strings.ReplaceAll(output(), dir, "DIR"); got != c.want || code != c.code {
			t.Errorf("%s: %d, %q; want %d, %q", c.script, code, got, c.code, c.want)
		}
	}
}

func TestHelpListsWhatThereIs(t *testing.T) {
	s, output := newTestShell(t)
	if code := s.runText("help", "sh"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"cat", "help", "ls", "poweroff", "reboot", "report", "verity", "no job control", "why", "resume", "boot on", "see what failed", "look at the disk", "repair verity"} {
		if !strings.Contains(output(), want) {
			t.Errorf("no %s in\n%s", want, output())
		}
	}
	for line := range strings.SplitSeq(output(), "\n") {
		if len(line) > 79 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

// typist is an editor with a person.
type typist struct {
	lines   []string
	prompts []string
}

func (p *typist) ReadLine(prompt string) (string, error) {
	p.prompts = append(p.prompts, prompt)
	if len(p.lines) == 0 {
		return "", io.ErrUnexpectedEOF
	}
	line := p.lines[0]
	p.lines = p.lines[1:]
	switch line {
	case "^C":
		return "", errInterrupted
	case "^D":
		return "", errLeft
	}
	return line, nil
}

func TestInteraction(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
		code  int
		left  int
		typed bool
	}{
		{"exit", []string{"echo a", "exit", "echo b"}, "a\n", 0, 1, true},
		{"exit with a code", []string{"exit 3"}, "", 3, 0, true},
		{"Ctrl-D", []string{"x=1", "echo $x", "^D"}, "1\nexit\n", exitLeft, 0, true},
		{"nothing but Ctrl-D", []string{"^D"}, "exit\n", exitLeft, 0, false},
		{"several lines", []string{"for i in 1 2", "do echo $i", "done", "^D"}, "1\n2\nexit\n", exitLeft, 0, true},
		{"a slip does not end it", []string{"echo )", "echo b", "^D"}, "sh: 1:6: a command can only contain words and redirects; encountered `)`\nb\nexit\n", exitLeft, 0, true},
		{"Ctrl-C forgets the lines", []string{"if true", "^C", "echo b", "^D"}, "b\nexit\n", exitLeft, 0, true},
		{"what is in the background goes on", []string{"(while test ! -e $f; do :; done; echo late) &", "echo early; echo >$f", "wait", "^D"}, "early\nlate\nexit\n", exitLeft, 0, true},
		{"a failed command does not end it", []string{"false", "echo $?", "^D"}, "1\nexit\n", exitLeft, 0, true},
		{"the line breaks", []string{"echo a"}, "a\n", exitLost, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("f", filepath.Join(t.TempDir(), "f"))
			s, output := newTestShell(t)
			p := &typist{lines: c.lines}
			typed := false
			code, lost := s.interact(p, func() { typed = true })
			if got := output(); got != c.want || lost != (c.code == exitLost) || code != c.code || len(p.lines) != c.left || typed != c.typed {
				t.Errorf("%d, %q, left %q, typed %v", code, got, p.lines, typed)
			}
			if first := p.prompts[0]; !strings.HasPrefix(first, "preroot rescue:/") || !strings.HasSuffix(first, "# ") {
				t.Errorf("prompt %q", first)
			}
		})
	}
}

// Ctrl-C reaches what runs, and the shell stays.
func TestInterrupt(t *testing.T) {
	s, output := newTestShell(t)
	done := make(chan int)
	go func() {
		code, _ := s.interact(&typist{lines: []string{"while true; do :; done; echo not this", "echo after", "^D"}}, func() {})
		done <- code
	}()
	end := time.After(30 * time.Second)
	for {
		select {
		case code := <-done:
			if got := strings.TrimLeft(output(), "\n"); code != exitLeft || got != "after\nexit\n" {
				t.Errorf("%d, %q", code, got)
			}
			return
		case <-time.After(20 * time.Millisecond):
			// Until it has been heard, which is told by a line break.
			if output() == "" {
				s.interrupt()
			}
		case <-end:
			t.Fatal("it goes on")
		}
	}
}

func TestParseArguments(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo $1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arguments  string
		text, name string
		parameters string
		code       int
	}{
		{"sh", "", "sh", "", -1},
		{"sh -", "", "sh", "", -1},
		{"sh -s a b", "", "sh", "a b", -1},
		{"sh -c X", "X", "sh", "", -1},
		{"sh -c X name a b", "X", "name", "a b", -1},
		{"sh " + script + " a", "echo $1", script, "a", -1},
		{"sh -x", "", "sh", "", 2},
		{"sh -c", "", "sh", "", 2},
		{"sh /no/such/file", "", "sh", "", 127},
	} {
		o, text, code := parseArguments(strings.Fields(c.arguments))
		got := ""
		if text != nil {
			got = *text
		}
		if got != c.text || o.name != c.name || strings.Join(o.parameters, " ") != c.parameters || code != c.code {
			t.Errorf("%s: %q, %+v, %d", c.arguments, got, o, code)
		}
	}
}

func TestStatus(t *testing.T) {
	if status(0) != nil || status(int(unix.SIGINT)+128).Error() != "exit status 130" {
		t.Error(status(0), status(130))
	}
}
