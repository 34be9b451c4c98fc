package apply

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPassStubFiles(t *testing.T) {
	extra, run := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if passed, err := PassStubFiles(extra+"/nothing", run); len(passed) != 0 || err != nil {
		t.Errorf("%q, %v", passed, err)
	}
	if names, err := os.ReadDir(run); len(names) != 0 || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	for _, name := range []string{"profile", "os-release", "boot-secret", "tpm2-pcr-signature.json", "tpm2-pcr-public-key.pem", "unknown"} {
		write(extra+"/"+name, name+"\n")
	}
	// What is there stays.
	write(run+"/systemd/stub/profile", "earlier\n")
	passed, err := PassStubFiles(extra, run)
	if want := []string{"os-release", "boot-secret", "tpm2-pcr-signature.json", "tpm2-pcr-public-key.pem"}; err != nil || !slices.Equal(passed, want) {
		t.Errorf("%q, %v", passed, err)
	}
	for name, want := range map[string]string{
		"systemd/stub/profile": "-rw------- earlier\n", "systemd/stub/os-release": "-r--r--r-- os-release\n", "systemd/stub/boot-secret": "-r-------- boot-secret\n",
		"systemd/tpm2-pcr-signature.json": "-r--r--r-- tpm2-pcr-signature.json\n", "systemd/tpm2-pcr-public-key.pem": "-r--r--r-- tpm2-pcr-public-key.pem\n",
		"systemd/stub": "drwxr-xr-x ", "systemd": "drwxr-xr-x ",
	} {
		info, err := os.Stat(run + "/" + name)
		if err != nil {
			t.Error(err)
			continue
		}
		text, _ := os.ReadFile(run + "/" + name)
		if got := info.Mode().String() + " " + string(text); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Links, pipes and absurd sizes are refused, and nothing is left of them; the others still come.
func TestPassStubFilesRefuses(t *testing.T) {
	extra, run := t.TempDir(), t.TempDir()
	if err := os.WriteFile(extra+"/outside", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Symlink("outside", extra+"/profile"), unix.Mkfifo(extra+"/os-release", 0o600), os.WriteFile(extra+"/boot-secret", nil, 0o600),
		os.Truncate(extra+"/boot-secret", maxStubFile+1), os.WriteFile(extra+"/tpm2-pcr-public-key.pem", []byte("key"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	passed, err := PassStubFiles(extra, run)
	if !slices.Equal(passed, []string{"tpm2-pcr-public-key.pem"}) || err == nil {
		t.Fatalf("%q, %v", passed, err)
	}
	for _, want := range []string{"/profile", "/os-release: not a regular file", "/boot-secret: not a regular file of at most"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if _, err := os.Lstat(run + "/systemd/stub/profile"); !os.IsNotExist(err) {
		t.Error(err)
	}
}
