package initramfs

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/initramfs/kerneltree/kerneltreetest"
)

// addDriver adds a module that names firmware to a tree.
func addDriver(t *testing.T, tree, name string, firmware ...string) {
	t.Helper()
	addMoreModules(t, tree, name)
	var entries []string
	for _, file := range firmware {
		entries = append(entries, "firmware="+file)
	}
	writeFile(t, filepath.Join(tree, "lib/modules", testRelease, "kernel/more", name+".ko"),
		string(kerneltreetest.Module(testRelease, elf.EM_X86_64, entries...)))
}

// firmwareIn gives what an image has below lib/firmware.
func firmwareIn(t *testing.T, o Options) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, r := range readImage(t, o.Output, CompressionZstd) {
		if name, below := strings.CutPrefix(r.Name, "lib/firmware/"); below && r.Mode&^0o7777 == 0o100000 {
			files[name] = contentOf(t, r)
		}
	}
	return files
}

// firmwareWarnings keeps the warnings about firmware.
func firmwareWarnings(result *Result) []string {
	return slices.DeleteFunc(slices.Clone(result.Warnings), func(w string) bool { return !strings.Contains(w, "firmware") })
}

func TestFirmwareComesWithItsDriver(t *testing.T) {
	o := testOptions(t)
	addDriver(t, o.KernelTree, "hba", "plain.bin", "sub/zstd.bin", "xz.bin", "both.bin", "set/*.bin", "link.bin", "usr.bin", "twice.bin")
	addDriver(t, o.KernelTree, "second", "plain.bin", "own.bin")
	addDriver(t, o.KernelTree, "unwanted2", "unwanted.bin")
	o.ExtraModules = []string{"hba", "second"}
	writeFile(t, filepath.Join(o.KernelTree, "lib/modules", testRelease, "modules.builtin.modinfo"), "ext4.alias=fs-ext4\x00nvme.firmware=nvme.bin\x00nvme.license=GPL\x00ahci.firmware=ahci.bin\x00")
	for name, content := range map[string]string{
		"lib/firmware/plain.bin": "plain", "lib/firmware/sub/zstd.bin.zst": packFor(t, "x.zst", "packed by zstd"), "lib/firmware/xz.bin.xz": packFor(t, "x.xz", "packed by xz"),
		"lib/firmware/both.bin": "shipped", "lib/firmware/updates/both.bin": "newer", "lib/firmware/updates/" + testRelease + "/both.bin": "newest",
		"lib/firmware/set/a.bin": "a", "lib/firmware/set/b.bin.xz": packFor(t, "x.xz", "b"), "lib/firmware/set/c.txt": "c", "lib/firmware/set/d.bin/file": "a directory",
		"usr/lib/firmware/usr.bin": "in usr", "lib/firmware/twice.bin": "as it is", "lib/firmware/twice.bin.zst": packFor(t, "x.zst", "packed"),
		"lib/firmware/own.bin": "own", "lib/firmware/unwanted.bin": "unwanted", "lib/firmware/nvme.bin": "nvme", "lib/firmware/ahci.bin": "ahci",
	} {
		writeFile(t, filepath.Join(o.KernelTree, name), content)
	}
	if err := os.Symlink("sub/zstd.bin.zst", filepath.Join(o.KernelTree, "lib/firmware/link.bin.zst")); err != nil {
		t.Fatal(err)
	}
	o.Describe = true
	result, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"plain.bin": "plain", "sub/zstd.bin": "packed by zstd", "xz.bin": "packed by xz", "both.bin": "newest", "set/a.bin": "a", "set/b.bin": "b",
		"link.bin": "packed by zstd", "usr.bin": "in usr", "twice.bin": "as it is", "own.bin": "own", "nvme.bin": "nvme",
	}
	got := firmwareIn(t, o)
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s is %q, want %q", name, got[name], content)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the image has %v", got)
	}
	if w := firmwareWarnings(result); len(w) != 0 || result.MissingFirmware != nil {
		t.Errorf("warnings %q, missing %q", w, result.MissingFirmware)
	}
	m, err := ReadManifest(o.Output + ManifestSuffix)
	if err != nil {
		t.Fatal(err)
	}
	for name, reason := range map[string]string{"lib/firmware/plain.bin": "firmware of hba", "lib/firmware/own.bin": "firmware of second", "lib/firmware/nvme.bin": "firmware of nvme"} {
		i := slices.IndexFunc(m.Files, func(f ManifestFile) bool { return f.Path == name })
		if i < 0 || m.Files[i].Reason != reason || m.Files[i].Mode != "100644" {
			t.Errorf("%s in the manifest: %+v", name, m.Files[max(i, 0)])
		}
	}

	o.NoFirmware = true
	if result, err = Build(o); err != nil || len(firmwareIn(t, o)) != 0 || len(firmwareWarnings(result)) != 0 {
		t.Errorf("without firmware: %v, %q, %v", firmwareIn(t, o), result.Warnings, err)
	}
}

// TestMissingFirmwareIsNamed: a warning, since a driver names what any of its devices may need. What is found outside of the target is not there.
func TestMissingFirmwareIsNamed(t *testing.T) {
	o := testOptions(t)
	addDriver(t, o.KernelTree, "hba", "there.bin", "none.bin", "outside.bin", "absolute.bin", "../escape.bin", "/*(DEBLOBBED)*/", "[", "mine.bin", "packed.bin", "folder.bin")
	addDriver(t, o.KernelTree, "second", "none.bin")
	o.ExtraModules, o.Describe = []string{"hba", "second"}, true
	mine, secret := filepath.Join(t.TempDir(), "mine"), filepath.Join(t.TempDir(), "secret")
	writeFile(t, mine, "mine")
	writeFile(t, secret, "a secret of the host")
	writeFile(t, filepath.Join(o.KernelTree, "lib/firmware/there.bin"), "there")
	writeFile(t, filepath.Join(o.KernelTree, "lib/firmware/mine.bin"), "the system's")
	writeFile(t, filepath.Join(o.KernelTree, "lib/firmware/folder.bin/file"), "")
	writeFile(t, filepath.Join(o.KernelTree, "lib/escape.bin"), "escape")
	relative, err := filepath.Rel(filepath.Join(o.KernelTree, "lib/firmware"), secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"outside.bin": relative, "absolute.bin": secret} {
		if err := os.Symlink(target, filepath.Join(o.KernelTree, "lib/firmware", name)); err != nil {
			t.Fatal(err)
		}
	}
	// What is included counts more, and is not missed.
	o.Includes = []Include{{mine, "/lib/firmware/mine.bin"}, {mine, "/lib/firmware/packed.bin.xz"}}
	result, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := firmwareIn(t, o); len(got) != 3 || got["there.bin"] != "there" || got["mine.bin"] != "mine" || got["packed.bin.xz"] != "mine" {
		t.Errorf("the image has %v", got)
	}
	want := []string{"hba (none.bin, outside.bin, absolute.bin, ../escape.bin, /*(DEBLOBBED)*/, [, folder.bin)", "second (none.bin)"}
	if !slices.Equal(result.MissingFirmware, want) || !slices.Equal(result.Manifest.MissingFirmware, want) {
		t.Errorf("missing %q, in the manifest %q", result.MissingFirmware, result.Manifest.MissingFirmware)
	}
	w := firmwareWarnings(result)
	if len(w) != 1 || !strings.HasPrefix(w[0], o.KernelTree+"/lib/firmware has no firmware for "+want[0]+", "+want[1]+": ") {
		t.Errorf("warnings %q", w)
	}
}

func TestDamagedFirmwareIsRefused(t *testing.T) {
	o := testOptions(t)
	addDriver(t, o.KernelTree, "hba", "bad.bin")
	o.ExtraModules = []string{"hba"}
	writeFile(t, filepath.Join(o.KernelTree, "lib/firmware/bad.bin.xz"), packFor(t, "x.xz", strings.Repeat("firmware", 100))[:40])
	writeFile(t, o.Output, "earlier image")
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), "unpack firmware lib/firmware/bad.bin.xz: ") {
		t.Errorf("got %v", err)
	}
	checkUntouched(t, o.Output)
}
