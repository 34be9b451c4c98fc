package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// moduleTable is modules.dep: for each module its file and what must be loaded
// before it, all relative to dir.
type moduleTable struct {
	dir     string
	file    map[string]string
	needs   map[string][]string
	builtin map[string]bool
	loaded  map[string]bool
}

func openModules() (*moduleTable, error) {
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		return nil, fmt.Errorf("read kernel release: %w", err)
	}
	t := &moduleTable{
		dir:  "/lib/modules/" + unix.ByteSliceToString(names.Release[:]),
		file: map[string]string{}, needs: map[string][]string{},
		builtin: map[string]bool{}, loaded: map[string]bool{},
	}
	text, err := os.ReadFile(t.dir + "/modules.dep")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read modules.dep: %w", err)
	}
	t.parse(string(text))
	text, err = os.ReadFile(t.dir + "/modules.builtin")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read modules.builtin: %w", err)
	}
	for file := range strings.FieldsSeq(string(text)) {
		t.builtin[moduleName(file)] = true
	}
	return t, nil
}

// parse reads lines "kernel/fs/erofs/erofs.ko: kernel/lib/a.ko kernel/b.ko". An
// absolute file name is meant as it stands (modules.dep(5)).
func (t *moduleTable) parse(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		file, needs, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		name := moduleName(file)
		t.file[name] = file
		t.needs[name] = strings.Fields(needs)
	}
}

// moduleName is the kernel's name of a module file: kernel/drivers/md/dm-mod.ko.xz
// is dm_mod.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".")
	return strings.ReplaceAll(name, "-", "_")
}

// load loads a module after everything it depends on. What is loaded or built
// in already is no error.
func (t *moduleTable) load(name string) error {
	name = moduleName(name)
	if t.loaded[name] {
		return nil
	}
	file, found := t.file[name]
	if !found {
		if _, err := os.Stat("/sys/module/" + name); err == nil || t.builtin[name] {
			return nil
		}
		return fmt.Errorf("load %s: neither in the image nor in the kernel", name)
	}
	// modules.dep names everything needed, the nearest first.
	needs := t.needs[name]
	for i := len(needs) - 1; i >= 0; i-- {
		if err := t.insert(needs[i]); err != nil {
			return err
		}
	}
	return t.insert(file)
}

func (t *moduleTable) insert(file string) error {
	name := moduleName(file)
	if t.loaded[name] {
		return nil
	}
	if !path.IsAbs(file) {
		file = path.Join(t.dir, file)
	}
	opened, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("load %s: %w", name, err)
	}
	defer opened.Close()
	flags := 0
	if !strings.HasSuffix(file, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	if err := unix.FinitModule(int(opened.Fd()), "", flags); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", name, err)
	}
	t.loaded[name] = true
	return nil
}
