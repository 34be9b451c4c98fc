//go:build vm

package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/vmtest"
)

// aPassphrase is the settings of an image whose passphrase is "password" (see internal/passphrase).
const aPassphrase = "[Failure]\nAction=passphrase\nPassphraseHash=$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4\n"

// TestFailure boots what fails or is stopped, and types on the serial line as a person would. The word panic=0 takes back the
// panic=-1 of all scenarios, which forbids a shell.
func TestFailure(t *testing.T) {
	t.Parallel()
	// mistaken makes a boot fail after three seconds.
	mistaken := func(t *testing.T, line string) string { return changeHash(0)(t, line) }
	for _, c := range []struct {
		name, settings string
		change         func(*testing.T, string) string
		words          string
		dialog         []vmtest.Exchange
		want, never    []string
	}{
		{name: "screen on two consoles", change: mistaken, words: "rd.timeout=3 console=hvc0 console=ttyS0",
			want: []string{"This system could not be booted                                PR-DEV-MISSING", "Step:       find devices", "Waited for: PARTUUID=", "No shell: "}},
		{name: "shell", settings: "[Failure]\nAction=shell\n", change: mistaken, words: "rd.timeout=3 panic=0",
			dialog: []vmtest.Exchange{
				{Wait: "preroot rescue:/# ", Send: "echo answer $((6*7)); cd /dev\r"},
				{Wait: "answer 42", Send: ""},
				{Wait: "preroot rescue:/dev# ", Send: "echo begun; while true; do :; done\r"},
				{Wait: "begun\r\n", Send: "\x03"},
				{Wait: "preroot rescue:/dev# ", Send: "cat\x03"},
				{Wait: "preroot rescue:/dev# ", Send: "report | while read l; do echo \"[$l]\"; done\r"},
				{Wait: "preroot rescue:/dev# ", Send: "verity --version; echo code $?\r"},
				{Wait: "preroot rescue:/dev# ", Send: "exit\r"},
			},
			want: []string{"PR-DEV-MISSING", "A shell follows; \"resume\" goes on", "[preroot (full) on Linux ", "veritysetup", "code 0", "reboot: Restarting system"}},
		{name: "three wrong passphrases", settings: aPassphrase, change: mistaken, words: "rd.timeout=3 panic=0",
			dialog: []vmtest.Exchange{
				{Wait: "Passphrase for a shell: ", Send: "one\r"},
				{Wait: "Passphrase for a shell: ", Send: "two\r"},
				{Wait: "Passphrase for a shell: ", Send: "three\r"},
			},
			want: []string{"3 wrong passphrases", "reboot: Restarting system"}, never: []string{"somebody used a shell", "preroot rescue:/#"}},
		{name: "breakpoint", settings: aPassphrase, words: "rd.break=pre-switch-root panic=0",
			dialog: []vmtest.Exchange{
				{Wait: "Passphrase for a shell: ", Send: "wrong\r"},
				{Wait: "Passphrase for a shell: ", Send: "password\r"},
				{Wait: "preroot rescue:/# ", Send: "ls /sysroot\r"},
				{Wait: "preroot rescue:/# ", Send: "exit\r"},
			},
			want: []string{"stopped at the breakpoint pre-switch-root", "usr/", "going on with: hand over", "somebody used a shell", "executing /sbin/init", `"shell": true`}},
		{name: "breakpoint that is not allowed", words: "rd.break=pre-mount", want: []string{"no shell is allowed", "PR-CMDLINE"}, never: []string{"executing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := PrepareWith(vmtest.Forky, t.TempDir(), c.settings)
			if err != nil {
				t.Fatal(err)
			}
			line, err := m.Testbed.Value("CMDLINE")
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				line = c.change(t, line)
			}
			second := filepath.Join(t.TempDir(), "second")
			run, err := m.Boot(t.Context(), Start{CommandLine: line, Append: c.words, Dialog: c.dialog, SecondConsole: second, Timeout: 300 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			consoles := map[string]string{"ttyS0": run.Console}
			if strings.Contains(c.words, "hvc0") {
				text, err := os.ReadFile(second)
				if err != nil {
					t.Fatal(err)
				}
				consoles["hvc0"] = string(text)
			}
			for name, text := range consoles {
				for _, want := range c.want {
					if !strings.Contains(text, want) {
						t.Errorf("%s: no %q", name, want)
					}
				}
				for _, never := range c.never {
					if strings.Contains(text, never) {
						t.Errorf("%s: %q", name, never)
					}
				}
			}
			if run.End != vmtest.EndedByGuest {
				t.Errorf("%s", run.End)
			}
			if t.Failed() {
				t.Logf("%s", run.Tail(150))
			}
		})
	}
}
