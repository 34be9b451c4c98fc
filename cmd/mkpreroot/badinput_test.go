package main

import (
	"debug/elf"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/initramfs/kerneltree/kerneltreetest"
)

// TestBadInput: a bad input is one line that names it, and leaves the earlier image with nothing beside it.
func TestBadInput(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	for name, c := range map[string]struct {
		// more gives further options, or spoils the tree in folder.
		more func(folder string) []string
		want string
	}{
		"tree without modules": {func(string) []string { return []string{"--kernel", t.TempDir()} }, " has no lib/modules"},
		"tree that is a file": {func(folder string) []string {
			return []string{"--kernel", filepath.Join(folder, "program")}
		}, "is no kernel image"},
		"tree of another architecture": {func(string) []string { return []string{"--arch", otherArch()} }, "and the image for " + otherArch() + " (see --arch)"},
		"foreign vermagic": {func(folder string) []string {
			writeFile(t, filepath.Join(folder, "lib/modules/7.2.0/a/asked.ko"), string(kerneltreetest.Module("6.1.0", machine)))
			return nil
		}, "a/asked.ko: it is for kernel 6.1.0 (vermagic), and its tree for 7.2.0"},
		"microcode that is no cpio": {func(folder string) []string {
			writeFile(t, filepath.Join(folder, "microcode"), "text")
			return []string{"--microcode", filepath.Join(folder, "microcode")}
		}, "is neither microcode of Intel or AMD nor a plain cpio archive of it"},
		"key that is not known": {func(folder string) []string {
			writeFile(t, filepath.Join(folder, "build.conf"), "[Build]\nModul=ext4\n")
			return []string{"--config", filepath.Join(folder, "build.conf")}
		}, "unknown key Modul= in [Build]"},
		"setting that is not known": {func(folder string) []string {
			writeFile(t, filepath.Join(folder, "preroot.conf"), "[ConfExt]\nRequires=00-default\n")
			return []string{"--conf", filepath.Join(folder, "preroot.conf"), "--init", own}
		}, "the image would not boot: read preroot.conf: unknown setting Requires= in [ConfExt]"},
		"no such settings": {func(string) []string { return []string{"--conf", "/no/such", "--init", own} }, "open /no/such: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			folder, arguments := makeTree(t)
			place := t.TempDir()
			image := filepath.Join(place, "image")
			writeFile(t, image, "earlier image")
			arguments = slices.Concat([]string{"build", "--quiet"}, arguments, []string{"--output", image}, c.more(folder))
			code, stdout, stderr := call(t, arguments...)
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%d, %q, %q, want %q", code, stdout, stderr, c.want)
			}
			content, err := os.ReadFile(image)
			entries, _ := os.ReadDir(place)
			if err != nil || string(content) != "earlier image" || len(entries) != 1 {
				t.Errorf("left: %v, %q (%v)", entries, content, err)
			}
		})
	}
}

// TestSettingsOfOthers: what a program that is not ours takes from its settings is its own business.
func TestSettingsOfOthers(t *testing.T) {
	folder, arguments := makeTree(t)
	writeFile(t, filepath.Join(folder, "conf"), "[Whatever]\n")
	build(t, append(arguments, "--conf", filepath.Join(folder, "conf"))...)
}

// TestBuildsOfTwoDays: two builds in different places, of files from different days, with other numbers of processors and in other
// time zones, are the same bytes, with what describes them.
func TestBuildsOfTwoDays(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	var all [2][]string
	for i := range all {
		folder, arguments := makeTree(t)
		for name, content := range map[string]string{
			"extra/a": "a", "extra/b": strings.Repeat("b ", 1<<20), "conf": "[Boot]\n",
		} {
			writeFile(t, filepath.Join(folder, name), content)
		}
		day := time.Unix(1_700_000_000+int64(i)*86_400*3, 0)
		err := filepath.WalkDir(folder, func(name string, _ os.DirEntry, err error) error {
			if err == nil {
				err = os.Chtimes(name, day, day)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("TZ", []string{"UTC", "Asia/Tokyo"}[i])
		before := runtime.GOMAXPROCS(1 + 3*i)
		build(t, append(arguments, "--include", filepath.Join(folder, "extra")+":/opt/extra", "--conf", filepath.Join(folder, "conf"))...)
		runtime.GOMAXPROCS(before)
		for _, suffix := range []string{"", ".manifest.json", ".spdx.json"} {
			content, err := os.ReadFile(filepath.Join(folder, "image"+suffix))
			if err != nil {
				t.Fatal(err)
			}
			all[i] = append(all[i], string(content))
		}
	}
	for i, suffix := range []string{"image", "manifest", "SBOM"} {
		if all[0][i] != all[1][i] {
			t.Errorf("the two have another %s", suffix)
		}
	}
}
