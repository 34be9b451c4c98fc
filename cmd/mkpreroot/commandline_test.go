package main

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/initramfs/kerneltree/kerneltreetest"
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
		{"compression", []string{"build", "--kernel", "x", "--output", "y", "--compress", "lzop"}, 2, "", `--compress "lzop": neither zstd, xz, gzip or none, nor a command: "lzop": executable file not found`},
		{"compressor that is not there", []string{"build", "--kernel", "x", "--output", "y", "--compress", "/no/such -9"}, 2, "", `nor a command: "/no/such": no such file`},
		{"compressor without a name", []string{"build", "--kernel", "x", "--output", "y", "--compress", " "}, 2, "", `--compress " " names nothing`},
		{"include", []string{"build", "--kernel", "x", "--output", "y", "--include", "a"}, 2, "", `"a" is not SRC:DST`},
		{"no program beside", []string{"build", "--kernel", "x", "--output", "y"}, 1, "", "no preroot beside mkpreroot"},
		{"no sealed program beside", []string{"build", "--profile", "sealed", "--kernel", "x", "--output", "y"}, 1, "", "no preroot-sealed beside mkpreroot"},
		{"odd profile", []string{"build", "--profile", "debug", "--kernel", "x", "--output", "y"}, 2, "", `unknown profile "debug"`},
		{"architecture", []string{"build", "--kernel", "x", "--output", "y", "--arch", "sparc"}, 2, "", `unknown architecture "sparc"`},
		{"two sets", []string{"build", "--kernel", "x", "--output", "y", "--hardware", "this", "--no-default-modules"}, 2, "", "exclude each other"},
		{"no program of another", []string{"build", "--kernel", "x", "--output", "y", "--arch", otherArch()}, 1, "", "no preroot-" + otherArch() + " beside mkpreroot"},
		{"help of list", []string{"list", "--help"}, 0, "--why", ""},
		{"list nothing", []string{"list"}, 2, "", "it wants one file"},
		{"list two", []string{"list", "a", "b"}, 2, "", "it wants one file"},
		{"list what is not there", []string{"list", "/no/such"}, 1, "", "read image: open /no/such: no such file"},
		{"list a directory", []string{"list", "/"}, 1, "", "not a regular file"},
		{"help of verify", []string{"verify", "--help"}, 0, "--rebuild", ""},
		{"verify nothing", []string{"verify"}, 2, "", "it wants an image"},
		{"verify without a manifest", []string{"verify", "/no/such"}, 1, "", "read manifest: open /no/such.manifest.json"},
		{"rebuild without a kernel", []string{"verify", "--rebuild", "/no/such"}, 2, "", "--kernel is needed"},
		{"no tree", []string{"build", "--kernel", "/no/such", "--output", "y", "--init", "x"}, 1, "", "/no/such does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.arguments, &stdout, &stderr); code != c.code {
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

// otherArch is one that this test does not run on.
func otherArch() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

func TestOptionsReachTheLibrary(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	got, err := parseBuild([]string{
		"--kernel", "tree", "--output=out", "--release", "7.2", "--init", "bin", "--conf", "conf", "--root", "root", "--arch", "arm64",
		"--module", "vfat", "--module=fuse", "--no-default-modules", "--compress", "gzip", "-q",
		"--include", "a:b:/c", "--microcode", "m", "--no-firmware",
	}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	want := initramfs.Options{
		KernelTree: "tree", Output: "out", Release: "7.2", Init: "bin", Conf: "conf", Root: "root", Arch: "arm64",
		Modules: []string{}, ExtraModules: []string{"vfat", "fuse"}, Compression: "gzip", Microcode: []string{"m"},
		Includes:   []initramfs.Include{{Source: "a:b", Destination: "/c"}},
		ModifiedAt: 1700000000, Describe: true, NoFirmware: true,
	}
	if !reflect.DeepEqual(got.Options, want) || !got.quiet {
		t.Errorf("got %+v, want %+v", got.Options, want)
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

// makeTree writes a kernel tree with two modules, and a program, and gives options to build an image of them.
func makeTree(t *testing.T) (folder string, arguments []string) {
	t.Helper()
	folder = t.TempDir()
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	for name, content := range map[string]string{
		"modules.dep": "a/needed.ko:\na/asked.ko: a/needed.ko\n",
		"a/needed.ko": string(kerneltreetest.Module("7.2.0", machine)), "a/asked.ko": string(kerneltreetest.Module("7.2.0", machine, "license=GPL")),
	} {
		writeFile(t, filepath.Join(folder, "lib/modules/7.2.0", name), content)
	}
	writeFile(t, filepath.Join(folder, "program"), "#!/program")
	return folder, []string{
		"--kernel", folder, "--output", filepath.Join(folder, "image"),
		"--init", filepath.Join(folder, "program"), "--no-default-modules", "--module", "asked",
	}
}

func writeFile(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// call runs mkpreroot and gives its exit code and what it says.
func call(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = run(t.Context(), arguments, &out, &complaints)
	return code, out.String(), complaints.String()
}

func TestBuildPrintsWhatIsInTheImage(t *testing.T) {
	folder, arguments := makeTree(t)
	code, stdout, stderr := call(t, append([]string{"build"}, arguments...)...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"  needed  needed by asked\n", "   asked  asked for\n", "image: kernel 7.2.0, 2 modules of "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q lacks %q", stdout, want)
		}
	}
	// No progress where nobody looks: only that there is no configuration.
	if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "mkpreroot: warning: no configuration of kernel 7.2.0") {
		t.Errorf("stderr is %q", stderr)
	}
	writeFile(t, filepath.Join(folder, "boot/config-7.2.0"), "CONFIG_BLK_DEV_INITRD=y\nCONFIG_BINFMT_ELF=y\nCONFIG_BLOCK=y\nCONFIG_PROC_FS=y\n"+
		"CONFIG_SYSFS=y\nCONFIG_DEVTMPFS=y\nCONFIG_TMPFS=y\nCONFIG_TMPFS_XATTR=y\nCONFIG_RD_ZSTD=y\n")
	if code, stdout, stderr := call(t, append([]string{"build", "--quiet"}, arguments...)...); code != 0 || stdout+stderr != "" {
		t.Errorf("quiet: exit code %d, %q, %q", code, stdout, stderr)
	}
}
