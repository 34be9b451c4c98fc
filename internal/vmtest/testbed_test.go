package vmtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func makeTestbed(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(TestbedVariable, dir)
}

func TestTestbedIsRead(t *testing.T) {
	makeTestbed(t, map[string]string{
		"disk.env":              "# made by a script\nUSRHASH=ab12\nUSR_OFFSET=1048576\nCMDLINE=\"root=PARTUUID=x rw\"\nBAD=x\n",
		"disk.raw":              "",
		"kernels/forky/release": "7.2\n",
		"kernels/forky/vmlinuz": "",
		"kernels/forky/lib/modules/7.2/modules.dep": "",
	})
	b, err := OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Value("CMDLINE"); err != nil || got != "root=PARTUUID=x rw" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := b.Offset("USR_OFFSET"); err != nil || got != 1048576 {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := b.Offset("BAD"); err == nil {
		t.Error("a word passed for an offset")
	}
	kernel, err := b.Kernel(Forky)
	if err != nil || kernel.Release != "7.2" || kernel.Image != filepath.Join(b.Dir, "kernels/forky/vmlinuz") {
		t.Errorf("%+v, %v", kernel, err)
	}
	if _, err := b.File("disk.raw", "scripts/testbed/make-disk"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsMissingNamesTheScriptThatMakesIt(t *testing.T) {
	check := func(name string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want it to name %s", name, err, want)
		}
	}
	t.Setenv(TestbedVariable, "")
	_, err := OpenTestbed()
	check("no variable", err, TestbedVariable)
	t.Setenv(TestbedVariable, t.TempDir())
	_, err = OpenTestbed()
	check("empty folder", err, "scripts/guest")
	makeTestbed(t, map[string]string{"disk.env": "A=b"})
	b, err := OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Kernel(Trixie)
	check("no kernel", err, "make-kernel trixie")
	_, err = b.File("no-release.raw", "scripts/testbed/make-disk")
	check("no disk", err, "scripts/testbed/make-disk")
	_, err = b.Value("USRHASH")
	check("no value", err, "scripts/testbed/make-disk")
	makeTestbed(t, map[string]string{"disk.env": "no value here"})
	_, err = OpenTestbed()
	check("bad line", err, "line 1")
}

func FuzzParseEnvironment(f *testing.F) {
	for _, seed := range []string{"A=b\n", "A=\"b c\"\n# x\n\n", "A=\"", "=", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseEnvironment(text)
		for key, value := range values {
			if err == nil && (key == "" || strings.Contains(value, "\n")) {
				t.Errorf("%q=%q", key, value)
			}
		}
	})
}

func TestRepositoryIsFound(t *testing.T) {
	dir, err := FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "internal/vmtest/doc.go")); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if dir, err := FindRepository(); err == nil {
		t.Errorf("found %s above an empty folder", dir)
	}
}
