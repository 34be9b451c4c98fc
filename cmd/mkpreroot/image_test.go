package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func build(t *testing.T, arguments ...string) {
	t.Helper()
	if code, _, stderr := call(t, append([]string{"build"}, arguments...)...); code != 0 {
		t.Fatal(stderr)
	}
}

func TestListAndWhy(t *testing.T) {
	folder, arguments := makeTree(t)
	build(t, arguments...)
	image := filepath.Join(folder, "image")
	code, stdout, stderr := call(t, "list", image)
	for _, want := range []string{
		"crw-------   0:0         5,1 1970-01-01 00:00 dev/console\n", "lrwxrwxrwx   0:0           5 1970-01-01 00:00 bin/verity -> /init\n",
		"-rwxr-xr-x   0:0          10 1970-01-01 00:00 init\n", "\npart 1: zstd, byte 0, ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%d, %q: %s lacks %q", code, stderr, stdout, want)
		}
	}
	if _, stdout, _ = call(t, "list", "--why", image); !strings.Contains(stdout, "init: the program\n") || !strings.Contains(stdout, "a/needed.ko: needed by asked\n") {
		t.Errorf("why: %s", stdout)
	}
	// Copied away from its manifest, it still knows why its modules are there.
	if err := os.Rename(image+".manifest.json", image+".gone"); err != nil {
		t.Fatal(err)
	}
	if _, stdout, _ = call(t, "list", "--why", image); stdout != "needed: needed by asked\nasked: asked for\n" {
		t.Errorf("why, without a manifest: %q", stdout)
	}
	text := filepath.Join(folder, "lib/modules/7.2.0/modules.dep")
	if code, _, stderr = call(t, "list", text); code != exitFailed || !strings.Contains(stderr, "it is no initramfs: it begins with \"a/need\"") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("no image: %d, %q", code, stderr)
	}
	other := "../../initramfs/contents/testdata/microcode-zstd.img"
	if code, stdout, _ = call(t, "list", other); code != 0 || !strings.Contains(stdout, "kernel/x86/microcode/GenuineIntel.bin\n") ||
		!strings.Contains(stdout, "part 1: none, byte 0, ") || !strings.Contains(stdout, "part 2: zstd, byte 1024, ") {
		t.Errorf("another's: %d, %s", code, stdout)
	}
	if code, _, stderr = call(t, "list", "--why", other); code != exitFailed || !strings.Contains(stderr, "it has no reasons in it") {
		t.Errorf("why another's: %d, %q", code, stderr)
	}
}

// TestTheProfileSealedHasNoLinks: no program in it answers to the names of applets.
func TestTheProfileSealedHasNoLinks(t *testing.T) {
	folder, arguments := makeTree(t)
	for profile, want := range map[string]bool{"full": true, "sealed": false} {
		build(t, append(arguments, "--profile", profile)...)
		if code, stdout, stderr := call(t, "list", filepath.Join(folder, "image")); code != 0 || strings.Contains(stdout, " -> /init\n") != want {
			t.Errorf("%s: %d, %q, %s", profile, code, stderr, stdout)
		}
	}
}

func TestVerify(t *testing.T) {
	folder, arguments := makeTree(t)
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	build(t, append(arguments, "--compress", "gzip")...)
	image := filepath.Join(folder, "image")
	verify := func(code int, want string, arguments ...string) {
		t.Helper()
		got, stdout, stderr := call(t, append([]string{"verify"}, arguments...)...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%q: %d, %s%s, want %q", arguments, got, stdout, stderr, want)
		}
	}
	verify(0, "the same as image.manifest.json", image)
	// Time and compression are those of the manifest.
	t.Setenv("SOURCE_DATE_EPOCH", "")
	rebuild := append([]string{"--rebuild", image, "--"}, arguments...)
	verify(0, "the same as what the options make now", rebuild...)
	verify(1, "missing: lib/modules", append(rebuild, "--include", folder+"/program:/lib/modules/x")...)
	verify(2, `unexpected argument "x"`, append(rebuild, "x")...)
	writeFile(t, filepath.Join(folder, "program"), "#!/another")
	verify(1, "changed: init: sha256 ", rebuild...)
	writeFile(t, filepath.Join(folder, "other"), "text")
	build(t, append(arguments, "--no-manifest", "--include", filepath.Join(folder, "other")+":/opt/other")...)
	verify(1, "added: opt\nadded: opt/other\n", image)
	verify(1, "changed: init: sha256 ", image)
	verify(1, "image differs from image.manifest.json: 3 differences", image)
	if err := os.Truncate(image, 100); err != nil {
		t.Fatal(err)
	}
	verify(1, "it ends too early", image)
}

// TestACommandIsRunAgain: verify --rebuild repeats what compressed an image where it is known to do nothing else, and says so where not.
func TestACommandIsRunAgain(t *testing.T) {
	folder, arguments := makeTree(t)
	image := filepath.Join(folder, "image")
	tool := filepath.Join(folder, "tool")
	writeFile(t, tool, "#!/bin/sh\nexec gzip -n\n")
	for _, c := range []struct {
		command, again string
		code           int
		stdout, stderr string
	}{
		{"gzip -n -9", "", 0, "the same as what the options make now", ""},
		{"gzip -n -9", "gzip -n -1", 1, "the same files, but packed to", "differs"},
		{tool, "", 1, "", `packed by "tool", which is not run because a file says so: give it with --compress`},
		{tool, tool, 0, "the same as what the options make now", ""},
	} {
		build(t, append(arguments, "--compress", c.command)...)
		again := append([]string{"verify", "--rebuild", image, "--", "--quiet"}, arguments...)
		if c.again != "" {
			again = append(again, "--compress", c.again)
		}
		if code, stdout, stderr := call(t, again...); code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%q, then %q: %d, %q, %q", c.command, c.again, code, stdout, stderr)
		}
	}
	config := filepath.Join(folder, "config")
	writeFile(t, config, "[Build]\nCompress=gzip -n -9\n")
	build(t, append([]string{"--config", config}, arguments...)...)
	if _, stdout, stderr := call(t, "list", image); !strings.Contains(stdout, "part 1: gzip, ") {
		t.Errorf("by the file: %s, %s", stdout, stderr)
	}
}

func TestConfigFile(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "sub/build.conf")
	writeFile(t, file, "[Build]\nKernel=7.2.0\nOutput=../image\nInit=/bin/true\nModule=a\nModule=\nModule=b\nNoManifest=yes\nNoFirmware=yes\nInclude=x:/y\nCompress=xz\nHardware=generic\n")
	t.Setenv("SOURCE_DATE_EPOCH", "")
	got, err := parseBuild([]string{"--config", file, "--module", "c", "--compress=gzip"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.KernelTree != "7.2.0" || got.Output != filepath.Join(folder, "image") || got.Init != "/bin/true" || !reflect.DeepEqual(got.ExtraModules, []string{"b", "c"}) ||
		got.Describe || !got.NoFirmware || got.Includes[0].Source != filepath.Join(folder, "sub/x") || got.Compression != "gzip" || got.Hardware != "generic" {
		t.Errorf("%+v", got.Options)
	}
	for text, want := range map[string]string{
		"[Build]\nColour=red\n":         "unknown key Colour= in [Build] (known: Kernel= Output= ",
		"[Build]\nkernel=x\n":           "unknown key kernel=",
		"[Build]\nquiet=yes\n":          "unknown key quiet=",
		"[Make]\n":                      "unknown section [Make]",
		"[Build]\nNoManifest=perhaps\n": "NoManifest=perhaps: neither yes nor no",
		"Kernel=x\n":                    "line 1: ",
		"[Build]\nKernel\nOutput\n":     "line 2: ",
	} {
		writeFile(t, file, text)
		code, _, stderr := call(t, "build", "--config", file)
		if code != exitFailed || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %d, %q", text, code, stderr)
		}
	}
	if code, _, stderr := call(t, "build", "--config", "/no/such"); code != exitFailed || !strings.Contains(stderr, "read config: open /no/such") {
		t.Errorf("%d, %q", code, stderr)
	}
}

// TestNamesCannotCommandATerminal: an archive is anybody's.
func TestNamesCannotCommandATerminal(t *testing.T) {
	for name, want := range map[string]string{"a b": "a b", "\x1b[2J": `"\x1b[2J"`, "\u009b": `"\u009b"`, "\xff": `"\xff"`, "a\nb": `"a\nb"`, "ü": "ü"} {
		if got := printable(name); got != want {
			t.Errorf("%q becomes %s", name, got)
		}
	}
}

func TestModes(t *testing.T) {
	for mode, want := range map[uint32]string{
		0o100644: "-rw-r--r--", 0o40755: "drwxr-xr-x", 0o104755: "-rwsr-xr-x", 0o102644: "-rw-r-Sr--", 0o41777: "drwxrwxrwt", 0o41776: "drwxrwxrwT",
		0o120777: "lrwxrwxrwx", 0o60660: "brw-rw----", 0o20600: "crw-------", 0o10600: "prw-------", 0o140600: "srw-------", 0: "?---------",
	} {
		if got := modeText(mode); got != want {
			t.Errorf("%o is %s", mode, got)
		}
	}
}
