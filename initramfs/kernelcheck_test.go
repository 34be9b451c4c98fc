package initramfs

import (
	"debug/elf"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/initramfs/kerneltree/kerneltreetest"
)

// goodConfig has all that an image may want.
func goodConfig() string {
	var b strings.Builder
	for _, o := range neededOptions {
		b.WriteString(o.name + "=y\n")
	}
	for _, o := range usefulOptions {
		b.WriteString(o.name + "=y\n")
	}
	for _, o := range compressionOptions {
		b.WriteString(o + "=y\n")
	}
	return b.String()
}

func TestKernelOptionsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		change      func(config string, o *Options) string
		warning     string // part of the only one
		problem     string
		configPlace string
	}{
		"all there":    {change: func(c string, _ *Options) string { return c }},
		"in boot":      {change: func(c string, _ *Options) string { return c }, configPlace: "boot/config-" + testRelease},
		"not there":    {change: func(string, *Options) string { return "" }, warning: "no configuration of kernel 7.2.0-test", configPlace: "elsewhere"},
		"no initramfs": {change: without("CONFIG_BLK_DEV_INITRD"), problem: "it could not boot this image, since it is built without CONFIG_BLK_DEV_INITRD (to unpack an initramfs)"},
		"two":          {change: without("CONFIG_DEVTMPFS", "CONFIG_TMPFS"), problem: "without CONFIG_DEVTMPFS (for /dev), CONFIG_TMPFS (for /run)"},
		"zstd":         {change: without("CONFIG_RD_ZSTD"), problem: "CONFIG_RD_ZSTD (to unpack zstd; --compress names another)"},
		"zstd is not needed": {change: func(c string, o *Options) string {
			o.Compression = CompressionGzip
			return without("CONFIG_RD_ZSTD")(c, o)
		}},
		"no signatures":     {change: without("CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG"), warning: "lacks CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG: the kernel checks no signature"},
		"no squashfs there": {change: without("CONFIG_SQUASHFS_XATTR")},
		"module missing": {change: func(c string, o *Options) string { o.ExtraModules = []string{"squashfs"}; return c },
			problem: "neither a module of this kernel nor built in: squashfs (CONFIG_SQUASHFS is not set)"},
		"module lost": {change: func(c string, o *Options) string {
			o.ExtraModules = []string{"xfs"}
			return c + "CONFIG_XFS_FS=m\n"
		}, problem: "xfs (CONFIG_XFS_FS=m, so this tree is not complete)"},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			place := test.configPlace
			if place == "" {
				place = "lib/modules/" + testRelease + "/config"
			}
			writeFile(t, filepath.Join(o.KernelTree, place), test.change(goodConfig(), &o))
			result, err := Build(o)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("got %v, want an error with %q", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(result.Warnings, "\n"); !strings.Contains(text, test.warning) || (test.warning == "") != (text == "") || len(result.Warnings) > 1 {
				t.Errorf("warnings %q", result.Warnings)
			}
		})
	}
}

// without turns options off, as the kernel's configuration writes it.
func without(options ...string) func(string, *Options) string {
	return func(config string, _ *Options) string {
		for _, option := range options {
			config = strings.ReplaceAll(config, option+"=y\n", "# "+option+" is not set\n")
		}
		return config
	}
}

func TestUnsignedModulesAreNamed(t *testing.T) {
	o := testOptions(t)
	folder := filepath.Join(o.KernelTree, "lib/modules", testRelease)
	writeFile(t, filepath.Join(folder, "config"), goodConfig()+"CONFIG_MODULE_SIG_FORCE=y\n")
	bufio := strings.TrimSuffix(moduleContent("dm_bufio"), kerneltreetest.Signature)
	writeFile(t, filepath.Join(folder, "kernel/drivers/md/dm-bufio.ko"), bufio)
	result, err := Build(o)
	if err != nil || len(result.Warnings) != 1 || !strings.HasSuffix(result.Warnings[0], "loads signed modules only, and these are not: dm_bufio") {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestForeignModulesAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		module string
		arch   string
		want   string
	}{
		"vermagic":     {string(kerneltreetest.Module("6.1.0", elf.EM_X86_64)), "", "check module kernel/drivers/md/dm-bufio.ko: it is for kernel 6.1.0 (vermagic), and its tree for 7.2.0-test"},
		"two machines": {string(kerneltreetest.Module(testRelease, elf.EM_AARCH64)), "", "dm-bufio.ko: it is for arm64, and the image for amd64"},
		"other arch":   {moduleContent("dm_bufio"), "arm64", "it is for amd64, and the image for arm64 (see --arch)"},
		"no vermagic":  {strings.Replace(moduleContent("dm_bufio"), "vermagic=", "vermagik=", 1), "", "it has no vermagic"},
		"no section":   {strings.Replace(moduleContent("dm_bufio"), ".modinfo", ".modinfa", 1), "", "it has no section .modinfo"},
		"text":         {"text", "", "check module kernel/drivers/md/dm-bufio.ko: no ELF file"},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			o.Arch = test.arch
			writeFile(t, o.Output, "earlier image")
			writeFile(t, filepath.Join(o.KernelTree, "lib/modules", testRelease, "kernel/drivers/md/dm-bufio.ko"), test.module)
			if _, err := Build(o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			checkUntouched(t, o.Output)
		})
	}
}

func TestProgramOfAnotherArchitectureIsRefused(t *testing.T) {
	o := testOptions(t)
	program := []byte(dynamicProgram("/ld"))
	program[18] = byte(elf.EM_AARCH64)
	writeFile(t, o.Init, string(program))
	o.Includes = []Include{{o.KernelTree + "/lib/modules/" + testRelease + "/modules.dep", "/ld"}}
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), "is a program for arm64, and the image is for amd64 (see --arch and --init)") {
		t.Errorf("got %v", err)
	}
	o.Modules = []string{}
	if result, err := Build(o); err != nil || result.Arch != "arm64" {
		t.Errorf("without modules: %+v, %v", result, err)
	}
	o.Arch = "riscv64"
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), `unknown architecture "riscv64"`) {
		t.Errorf("got %v", err)
	}
}

// TestBlacklist: what the target forbids is not picked by a device, but by name it is; and no alias leads to it.
func TestBlacklist(t *testing.T) {
	o := testOptions(t)
	o.Hardware, o.Modules = HardwareThis, nil
	o.Machine = makeMachine(t)
	full := func() (*Result, string) {
		t.Helper()
		result, err := Build(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range readImage(t, o.Output, CompressionZstd) {
			if filepath.Base(r.Name) == "modules.alias" {
				return result, contentOf(t, r)
			}
		}
		return result, ""
	}
	addMoreModules(t, o.KernelTree, "overlay", "squashfs", "loop")
	result, aliases := full()
	if names := namesOf(result); !slices.Contains(names, "virtio_blk") || !strings.Contains(aliases, "virtio_blk") {
		t.Errorf("%v\n%s", names, aliases)
	}
	writeFile(t, filepath.Join(o.KernelTree, "usr/lib/modprobe.d/a.conf"), "blacklist virtio-blk\n")
	result, aliases = full()
	if names := namesOf(result); slices.Contains(names, "virtio_blk") || strings.Contains(aliases, "virtio_blk") || !reflect.DeepEqual(result.Blacklisted, []string{"virtio_blk"}) {
		t.Errorf("%v, %v\n%s", names, result.Blacklisted, aliases)
	}
	o.ExtraModules = []string{"virtio_blk"}
	if result, aliases = full(); !slices.Contains(namesOf(result), "virtio_blk") || strings.Contains(aliases, "virtio_blk") {
		t.Errorf("asked for: %v\n%s", namesOf(result), aliases)
	}
	// A file in /etc hides the one of its name.
	writeFile(t, filepath.Join(o.KernelTree, "etc/modprobe.d/a.conf"), "")
	o.ExtraModules = nil
	if result, _ = full(); !slices.Contains(namesOf(result), "virtio_blk") || len(result.Blacklisted) != 0 {
		t.Errorf("hidden: %v, %v", namesOf(result), result.Blacklisted)
	}
}

func namesOf(result *Result) (names []string) {
	for _, m := range result.Modules {
		names = append(names, m.Name)
	}
	return names
}

// addMoreModules adds modules without needs to a tree.
func addMoreModules(t *testing.T, tree string, names ...string) {
	t.Helper()
	folder := filepath.Join(tree, "lib/modules", testRelease)
	text, err := os.ReadFile(filepath.Join(folder, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text = append(text, "kernel/more/"+name+".ko:\n"...)
		writeFile(t, filepath.Join(folder, "kernel/more", name+".ko"), moduleContent(name))
	}
	writeFile(t, filepath.Join(folder, "modules.dep"), string(text))
}
