//go:build hostroot

package etcrules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/bootreport"
)

func TestTheRunningRootIsRefused(t *testing.T) {
	for _, root := range []string{"/", "/usr/.."} {
		status, _, stderr := call("", "--root", root, "--dry-run")
		if status != 1 || !strings.Contains(stderr, root+" is the root of the running system") {
			t.Errorf("%s: %d, %q", root, status, stderr)
		}
	}
}

func writeFiles(t *testing.T, top string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(top+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(top+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWork takes settings from the root's /usr, from the initramfs over those, and from a file over both.
func TestWork(t *testing.T) {
	top := t.TempDir()
	writeFiles(t, top, map[string]string{
		"/usr/lib/preroot.conf": "[EtcRules]\nReference=/usr/share/a\n", "/usr/share/a/x": "x", "/usr/share/b/y": "y", "/usr/share/c/z": "z",
		"/etc/x": "x", "/etc/y": "y", "/etc/z": "z", "/etc/mine": "m", "/image.conf": "[EtcRules]\nReference=/usr/share/b\n", "/given.conf": "[EtcRules]\nReference=/usr/share/c\n",
		"/bad.conf": "[EtcRules]\nRefrence=/usr/share/c\n", "/empty.conf": "[ConfExt]\nRequire=x\n",
	})
	status, stdout, stderr := call("", "--root="+top, "--dry-run")
	if want := "R7: remove \"/etc/x\": as shipped\n"; status != 0 || stdout != want || stderr != "" {
		t.Errorf("dry run: %d, %q, %q", status, stdout, stderr)
	}
	for _, test := range []struct{ ownConf, argument, gone string }{{"/image.conf", "--json", "/etc/y"}, {"/image.conf", "--conf=" + top + "/given.conf", "/etc/z"}, {"/empty.conf", "--json", "/etc/x"}} {
		if _, err := os.Lstat(top + test.gone); err != nil {
			t.Errorf("%s is gone too early: %v", test.gone, err)
		}
		status, stdout, stderr := call(top+test.ownConf, "--root", top, test.argument)
		if _, err := os.Lstat(top + test.gone); err == nil || status != 0 || !strings.Contains(stdout, test.gone) || stderr != "" {
			t.Errorf("%s %s: %d, %q, %q", test.ownConf, test.argument, status, stdout, stderr)
		}
		if test.argument == "--json" {
			var record bootreport.Rules
			if err := json.Unmarshal([]byte(stdout), &record); err != nil || len(record.Actions) != 1 || record.Actions[0].Rule != "R7" {
				t.Errorf("JSON: %v, %q", err, stdout)
			}
		}
	}
	if _, err := os.Lstat(top + "/etc/mine"); err != nil {
		t.Error(err)
	}
	for _, arguments := range [][]string{{"--root=" + top, "--conf=" + top + "/bad.conf"}, {"--root=" + top}} {
		if status, _, stderr := call(top+"/bad.conf", arguments...); status != 1 || !strings.Contains(stderr, "unknown setting") {
			t.Errorf("%q: %d, %q", arguments, status, stderr)
		}
	}
}
