package main

import (
	"slices"
	"testing"
)

const sampleDependencies = `kernel/drivers/md/dm-verity.ko.xz: kernel/lib/reed_solomon.ko.xz kernel/drivers/md/dm-bufio.ko.xz kernel/drivers/md/dm-mod.ko.xz
kernel/fs/overlayfs/overlay.ko:
updates/extra.ko: /opt/other.ko.zst

no line of modules.dep
`

func newTable() *moduleTable {
	return &moduleTable{
		file: map[string]string{}, needs: map[string][]string{}, builtin: map[string]bool{}, loaded: map[string]bool{},
	}
}

func TestParseModuleDependencies(t *testing.T) {
	table := newTable()
	table.parse(sampleDependencies)
	if len(table.file) != 3 || table.file["dm_verity"] != "kernel/drivers/md/dm-verity.ko.xz" {
		t.Errorf("files: %v", table.file)
	}
	want := []string{"kernel/lib/reed_solomon.ko.xz", "kernel/drivers/md/dm-bufio.ko.xz", "kernel/drivers/md/dm-mod.ko.xz"}
	if got := table.needs["dm_verity"]; !slices.Equal(got, want) {
		t.Errorf("dm_verity needs %v", got)
	}
	if len(table.needs["overlay"]) != 0 {
		t.Errorf("overlay needs %v", table.needs["overlay"])
	}
}

func TestLoadOfAnUnknownModule(t *testing.T) {
	table := newTable()
	table.builtin["built_in_here"] = true
	if err := table.load("built-in-here"); err != nil {
		t.Error(err)
	}
	if err := table.load("nowhere-at-all"); err == nil {
		t.Error("a module that does not exist was loaded")
	}
	table.parse("kernel/gone.ko:")
	if err := table.load("gone"); err == nil {
		t.Error("a module without a file was loaded")
	}
}

func TestModuleName(t *testing.T) {
	for file, want := range map[string]string{
		"kernel/drivers/md/dm-mod.ko.xz": "dm_mod", "overlay.ko": "overlay", "dm-verity": "dm_verity", "/a/b.ko.zst": "b",
	} {
		if got := moduleName(file); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

func FuzzParseModuleDependencies(f *testing.F) {
	f.Add(sampleDependencies)
	f.Add(":\n: :\na.ko: a.ko")
	f.Fuzz(func(t *testing.T, text string) { newTable().parse(text) })
}
