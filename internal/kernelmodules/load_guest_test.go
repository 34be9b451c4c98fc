//go:build guest

package kernelmodules_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/kernelmodules"
)

// verityModules are dm-verity and what it needs on the kernels tested, the
// user before the used.
var verityModules = []string{"dm_verity", "dm_bufio", "dm_mod", "reed_solomon"}

func release(t *testing.T) string {
	t.Helper()
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		t.Fatal(err)
	}
	return unix.ByteSliceToString(names.Release[:])
}

func newLoader(t *testing.T) *kernelmodules.Loader {
	t.Helper()
	index, err := kernelmodules.ReadIndex("/", release(t))
	if err != nil {
		t.Fatal(err)
	}
	return kernelmodules.NewLoader(index)
}

func isLoaded(name string) bool {
	_, err := os.Stat("/sys/module/" + name + "/refcnt")
	return err == nil
}

// unload takes dm-verity out of the kernel. At the end of the test it is there
// again, for the tests that come after.
func unload(t *testing.T) {
	t.Helper()
	for _, name := range verityModules {
		if err := unix.DeleteModule(name, unix.O_NONBLOCK); err != nil && err != unix.ENOENT {
			t.Fatalf("unload %s: %v", name, err)
		}
	}
	if isLoaded("dm_verity") || isLoaded("dm_mod") {
		t.Fatal("still loaded")
	}
	t.Cleanup(func() {
		if err := newLoader(t).Load("dm_verity"); err != nil {
			t.Error(err)
		}
	})
}

func TestAModuleIsLoadedWithAllItNeeds(t *testing.T) {
	unload(t)
	l := newLoader(t)
	if err := l.Load("dm-verity"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dm_verity", "dm_bufio", "dm_mod"} {
		if !isLoaded(name) {
			t.Errorf("%s is not loaded", name)
		}
		if took := l.Times()[name]; took <= 0 || took > time.Minute {
			t.Errorf("%s took %v", name, took)
		}
	}
	// Its init function has run.
	if _, err := os.Stat("/dev/mapper/control"); err != nil {
		t.Error(err)
	}
	state, err := os.ReadFile("/sys/module/dm_verity/initstate")
	if err != nil || string(state) != "live\n" {
		t.Errorf("state %q, %v", state, err)
	}
}

func TestAModuleMayBeLoadedTwice(t *testing.T) {
	unload(t)
	for range 2 {
		// A new loader does not know what the first one did.
		l := newLoader(t)
		for range 2 {
			if err := l.Load("dm_verity"); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestManyLoadersAtOnce(t *testing.T) {
	unload(t)
	var all sync.WaitGroup
	for range 4 {
		l := newLoader(t)
		for _, name := range []string{"dm_verity", "dm_bufio", "dm_mod", "erofs"} {
			all.Go(func() {
				if err := l.Load(name); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if !isLoaded("dm_verity") {
		t.Error("not loaded")
	}
}

func TestUnknownAndBuiltInModules(t *testing.T) {
	l := newLoader(t)
	if err := l.Load("nosuchmodule"); err == nil || !strings.Contains(err.Error(), "nosuchmodule") {
		t.Error(err)
	}
	if err := l.Load("ext4"); err != nil {
		t.Error(err)
	}
}

// TestADamagedModuleIsRefused loads from a tree of its own.
func TestADamagedModuleIsRefused(t *testing.T) {
	unload(t)
	root := t.TempDir()
	directory := filepath.Join(root, "lib/modules", release(t))
	for name, text := range map[string]string{
		"modules.dep": "dm-verity.ko: dm-mod.ko\ndm-mod.ko:\n", "dm-verity.ko": "", "dm-mod.ko": "\x7fELF, and then nothing of the kind",
	} {
		file := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index, err := kernelmodules.ReadIndex(root, release(t))
	if err != nil {
		t.Fatal(err)
	}
	err = kernelmodules.NewLoader(index).Load("dm_verity")
	refused, ok := errors.AsType[*kernelmodules.Error](err)
	if !ok || refused.Module != "dm_mod" || !errors.Is(err, unix.ENOEXEC) {
		t.Errorf("%v", err)
	}
	if isLoaded("dm_mod") {
		t.Error("it is loaded")
	}
}

// TestAModuleWithoutWhatItNeedsIsRefused takes a module out of its tree.
func TestAModuleWithoutWhatItNeedsIsRefused(t *testing.T) {
	unload(t)
	real, err := kernelmodules.ReadIndex("/", release(t))
	if err != nil {
		t.Fatal(err)
	}
	if !real.IsLoadable("dm_verity") {
		t.Fatal("dm-verity is no module")
	}
	var file string
	err = filepath.WalkDir("/lib/modules", func(name string, _ os.DirEntry, err error) error {
		if filepath.Base(name) == "dm-verity.ko" {
			file = name
		}
		return err
	})
	if err != nil || file == "" {
		t.Fatalf("%q, %v", file, err)
	}
	root := t.TempDir()
	directory := filepath.Join(root, "lib/modules", release(t))
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	// An absolute path is one in the tree's root.
	if err := os.WriteFile(filepath.Join(directory, "modules.dep"), []byte("/other/dm-verity.ko:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "other/dm-verity.ko"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	index, err := kernelmodules.ReadIndex(root, release(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := kernelmodules.NewLoader(index).Load("dm_verity"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("%v, want unknown symbols", err)
	}
}
