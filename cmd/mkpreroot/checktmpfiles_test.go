package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckTmpfiles(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.conf"), filepath.Join(dir, "bad.conf")
	for name, text := range map[string]string{good: "d /boot\nL /var/run - - - - ../run\n", bad: "d /boot\nq /var/x\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		files          []string
		status         int
		stdout, stderr string
	}{
		{[]string{good}, exitDone, "good.conf: 2 lines", ""},
		{[]string{good, bad}, exitFailed, "good.conf: 2 lines", "bad.conf: line 2: type 'q' is not supported"},
		{[]string{filepath.Join(dir, "none")}, exitFailed, "", "no such file"},
		{nil, exitUsage, "", "wants files"},
	} {
		var out, complaints bytes.Buffer
		status := run(t.Context(), append([]string{"check-tmpfiles"}, test.files...), &out, &complaints)
		if status != test.status || !strings.Contains(out.String(), test.stdout) || !strings.Contains(complaints.String(), test.stderr) {
			t.Errorf("%q: %d, %q, %q", test.files, status, out.String(), complaints.String())
		}
	}
}
