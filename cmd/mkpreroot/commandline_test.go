package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/preroot/preroot/initramfs"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name      string
		arguments []string
		code      int
		stdout    string
		stderr    string
	}{
		{"nothing", nil, 2, "", "Usage: mkpreroot"},
		{"help", []string{"--help"}, 0, "Usage: mkpreroot", ""},
		{"unknown command", []string{"make"}, 2, "", `unknown command "make"`},
		{"help of build", []string{"build", "--help"}, 0, "virtio_blk virtio_pci", ""},
		{"no kernel", []string{"build", "--output", "x"}, 2, "", "--kernel is needed"},
		{"no output", []string{"build", "--kernel=x"}, 2, "", "--output is needed"},
		{"unknown option", []string{"build", "--colour"}, 2, "", "colour"},
		{"no value", []string{"build", "--kernel"}, 2, "", "kernel"},
		{"operand", []string{"build", "--kernel", "x", "--output", "y", "z"}, 2, "", `unexpected argument "z"`},
		{"compression", []string{"build", "--kernel", "x", "--output", "y", "--compress", "xz"}, 2, "", `unknown compression "xz"`},
		{"include", []string{"build", "--kernel", "x", "--output", "y", "--include", "a"}, 2, "", `"a" is not SRC:DST`},
		{"no program beside", []string{"build", "--kernel", "x", "--output", "y"}, 1, "", "no preroot beside mkpreroot"},
		{"no sealed program beside", []string{"build", "--profile", "sealed", "--kernel", "x", "--output", "y"}, 1, "", "no preroot-sealed beside mkpreroot"},
		{"odd profile", []string{"build", "--profile", "debug", "--kernel", "x", "--output", "y"}, 2, "", `unknown profile "debug"`},
		{"no tree", []string{"build", "--kernel", "/no/such", "--output", "y", "--init", "x"}, 1, "", "/no/such has no lib/modules"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(c.arguments, &stdout, &stderr); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, stream := range []struct{ name, got, want string }{
				{"stdout", stdout.String(), c.stdout}, {"stderr", stderr.String(), c.stderr},
			} {
				if !strings.Contains(stream.got, stream.want) || (stream.want == "") != (stream.got == "") {
					t.Errorf("%s is %q, want %q", stream.name, stream.got, stream.want)
				}
			}
		})
	}
}

func TestOptionsReachTheLibrary(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	got, quiet, err := parseBuild([]string{
		"--kernel", "tree", "--output=out", "--release", "7.2", "--init", "bin", "--conf", "conf",
		"--module", "vfat", "--module=fuse", "--no-default-modules", "--compress", "gzip", "-q",
		"--include", "a:b:/c", "--zstd", "zstd",
	}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	want := &initramfs.Options{
		KernelTree: "tree", Output: "out", Release: "7.2", Init: "bin", Conf: "conf",
		Modules: []string{}, ExtraModules: []string{"vfat", "fuse"}, Compression: "gzip",
		Includes: []initramfs.Include{{Source: "a:b", Destination: "/c"}}, ZstdProgram: "zstd",
		ModifiedAt: 1700000000,
	}
	if !reflect.DeepEqual(got, want) || !quiet {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSourceDate(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		good bool
	}{
		{"", 0, true}, {"0", 0, true}, {"4294967295", 4294967295, true},
		{"-1", 0, false}, {"4294967296", 0, false}, {"yesterday", 0, false}, {"1.5", 0, false},
	} {
		got, err := sourceDate(c.text)
		if got != c.want || (err == nil) != c.good {
			t.Errorf("sourceDate(%q) = %d, %v", c.text, got, err)
		}
	}
}

func TestBuildPrintsWhatIsInTheImage(t *testing.T) {
	folder := t.TempDir()
	modules := filepath.Join(folder, "lib/modules/7.2.0")
	for name, content := range map[string]string{
		"modules.dep": "a/needed.ko:\na/asked.ko: a/needed.ko\n", "a/needed.ko": "1234", "a/asked.ko": "123456",
	} {
		file := filepath.Join(modules, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	arguments := []string{
		"build", "--kernel", folder, "--output", filepath.Join(folder, "image"),
		"--init", filepath.Join(modules, "a/asked.ko"), "--no-default-modules", "--module", "asked",
	}
	var stdout, stderr bytes.Buffer
	if code := run(arguments, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, want := range []string{"4  needed  needed by asked\n", "6   asked  asked for\n", "image: kernel 7.2.0, 2 modules of 10 bytes, image "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q lacks %q", stdout.String(), want)
		}
	}
	if !strings.HasPrefix(stderr.String(), "==> kernel 7.2.0: 2 modules\n==> pack ") {
		t.Errorf("progress is %q", stderr.String())
	}
	stdout.Reset()
	stderr.Reset()
	if code := run(append(arguments, "--quiet"), &stdout, &stderr); code != 0 || stdout.Len()+stderr.Len() > 0 {
		t.Errorf("quiet: exit code %d, %q, %q", code, stdout.String(), stderr.String())
	}
}
