package kernelmodules

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeKernel notes what was inserted. Modules say their name.
type fakeKernel struct {
	mu       sync.Mutex
	inserted []string
	// fail makes a module fail.
	fail map[string]error
	// enter is called for each module before it counts as inserted.
	enter func(name string)
}

func (k *fakeKernel) insert(file *os.File, parameters string) error {
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	name := string(text)
	if k.enter != nil {
		k.enter(name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fail[name]; err != nil {
		return err
	}
	k.inserted = append(k.inserted, name)
	return nil
}

func (k *fakeKernel) order() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.inserted)
}

var verityIndexes = map[string]string{
	"modules.dep": "kernel/dm-verity.ko: kernel/dm-bufio.ko kernel/dm-mod.ko kernel/reed_solomon.ko\n" +
		"kernel/dm-bufio.ko: kernel/dm-mod.ko\nkernel/dm-mod.ko:\nkernel/reed_solomon.ko:\n" +
		"kernel/libcrc32c.ko:\nkernel/crc32c-intel.ko:\nkernel/erofs.ko: kernel/libcrc32c.ko\n" +
		"kernel/lost.ko:\nkernel/needs-lost.ko: kernel/lost.ko\n/updates/own.ko: kernel/dm-mod.ko\n",
	"modules.builtin": "kernel/ext4.ko\nkernel/dm-mod2.ko\n",
	"modules.softdep": "softdep libcrc32c pre: crc32c\n",
	"modules.alias":   "alias crc32c crc32c_intel\n",
}

func newLoader(t *testing.T, k *fakeKernel) *Loader {
	t.Helper()
	root := makeTree(t, verityIndexes, "kernel/dm-verity.ko", "kernel/dm-bufio.ko", "kernel/dm-mod.ko", "kernel/reed_solomon.ko",
		"kernel/libcrc32c.ko", "kernel/crc32c-intel.ko", "kernel/erofs.ko", "kernel/needs-lost.ko", "/updates/own.ko")
	x, err := ReadIndex(root, release)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLoader(x)
	l.insert = k.insert
	return l
}

// isBefore reports whether both were inserted, each once, in this order.
func isBefore(order []string, first, second string) bool {
	i, j := slices.Index(order, first), slices.Index(order, second)
	return i >= 0 && i < j && slices.Index(order[i+1:], first) < 0 && slices.Index(order[j+1:], second) < 0
}

func TestWhatAModuleNeedsIsLoadedFirstAndOnce(t *testing.T) {
	k := &fakeKernel{}
	l := newLoader(t, k)
	for _, name := range []string{"dm-verity", "dm_verity", "dm_bufio", "erofs", "own"} {
		if err := l.Load(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	order := k.order()
	for _, pair := range [][2]string{
		{"dm_mod", "dm_bufio"}, {"dm_bufio", "dm_verity"}, {"reed_solomon", "dm_verity"},
		{"crc32c_intel", "libcrc32c"}, {"libcrc32c", "erofs"}, {"dm_mod", "own"},
	} {
		if !isBefore(order, pair[0], pair[1]) {
			t.Errorf("%s is not before %s: %q", pair[0], pair[1], order)
		}
	}
	if len(order) != 8 {
		t.Errorf("inserted %q", order)
	}
	times := l.Times()
	for _, name := range order {
		if _, found := times[name]; !found {
			t.Errorf("no time of %s", name)
		}
	}
	if len(times) != len(order) {
		t.Errorf("times %v", times)
	}
}

func TestBuiltInAndUnknownModules(t *testing.T) {
	k := &fakeKernel{}
	l := newLoader(t, k)
	for _, name := range []string{"ext4", "dm-mod2"} {
		if err := l.Load(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"nosuchmodule", ""} {
		if err := l.Load(name); err == nil || err.Error() != "load module "+name+": neither in the kernel nor in this image" {
			t.Errorf("%q: %v", name, err)
		}
	}
	if order := k.order(); len(order) != 0 || len(l.Times()) != 0 {
		t.Errorf("inserted %q", order)
	}
}

func TestErrorsReachEveryoneWhoNeedsTheModule(t *testing.T) {
	k := &fakeKernel{fail: map[string]error{"dm_mod": unix.EKEYREJECTED}}
	l := newLoader(t, k)
	for range 2 {
		err := l.Load("dm_verity")
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Module != "dm_mod" || !errors.Is(err, unix.EKEYREJECTED) {
			t.Errorf("%v", err)
		}
		// One line, although two of the three modules it needs failed.
		if want := "load module dm_verity: load module dm_mod: key was rejected by service"; err == nil || err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
	if order := k.order(); !slices.Equal(order, []string{"reed_solomon"}) {
		t.Errorf("inserted %q", order)
	}
	if times := l.Times(); len(times) != 1 {
		t.Errorf("times %v", times)
	}
}

func TestAMissingFileIsAnError(t *testing.T) {
	k := &fakeKernel{}
	l := newLoader(t, k)
	if err := l.Load("needs-lost"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "load module lost") {
		t.Error(err)
	}
	if order := k.order(); len(order) != 0 {
		t.Errorf("inserted %q", order)
	}
}

func TestModulesThatAreThereAlready(t *testing.T) {
	k := &fakeKernel{fail: map[string]error{"dm_mod": unix.EEXIST, "dm_verity": unix.EEXIST}}
	if err := newLoader(t, k).Load("dm_verity"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsOnlyWantedMayFail(t *testing.T) {
	k := &fakeKernel{fail: map[string]error{"crc32c_intel": unix.ENODEV}}
	if err := newLoader(t, k).Load("erofs"); err != nil {
		t.Error(err)
	}
	if order := k.order(); !slices.Equal(order, []string{"libcrc32c", "erofs"}) {
		t.Errorf("inserted %q", order)
	}
}

func TestIndependentModulesAreLoadedSideBySide(t *testing.T) {
	var inside sync.WaitGroup
	inside.Add(2)
	k := &fakeKernel{enter: func(name string) {
		if name == "dm_mod" || name == "reed_solomon" {
			// Each waits for the other one.
			inside.Done()
			inside.Wait()
		}
	}}
	done := make(chan error)
	l := newLoader(t, k)
	go func() { done <- l.Load("dm_verity") }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("they wait for each other")
	}
}

func TestManyCallersLoadEachModuleOnce(t *testing.T) {
	k := &fakeKernel{fail: map[string]error{"erofs": unix.ENOEXEC}}
	l := newLoader(t, k)
	var failures atomic.Int32
	var all sync.WaitGroup
	for i := range 64 {
		name := []string{"dm_verity", "dm_bufio", "erofs", "own"}[i%4]
		all.Go(func() {
			err := l.Load(name)
			switch {
			case name == "erofs" && errors.Is(err, unix.ENOEXEC):
				failures.Add(1)
			case err != nil || name == "erofs":
				t.Errorf("%s: %v", name, err)
			}
			l.Times()
		})
	}
	all.Wait()
	order := slices.Sorted(slices.Values(k.order()))
	if want := []string{"crc32c_intel", "dm_bufio", "dm_mod", "dm_verity", "libcrc32c", "own", "reed_solomon"}; !slices.Equal(order, want) {
		t.Errorf("inserted %q, want %q", order, want)
	}
	if failures.Load() != 16 {
		t.Errorf("%d callers heard of the failure", failures.Load())
	}
}

// waitStopped returns once Stop was called.
func waitStopped(l *Loader) {
	for {
		l.mu.Lock()
		stopped := l.stopped
		l.mu.Unlock()
		if stopped {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestStopWaitsAndRefuses(t *testing.T) {
	entered, release := make(chan string, 8), make(chan struct{})
	k := &fakeKernel{enter: func(name string) {
		entered <- name
		<-release
	}}
	l := newLoader(t, k)
	loaded := make(chan error, 1)
	go func() { loaded <- l.Load("reed_solomon") }()
	<-entered
	stopped := make(chan struct{})
	go func() {
		l.Stop()
		close(stopped)
	}()
	waitStopped(l)
	select {
	case <-stopped:
		t.Error("Stop did not wait")
	case <-time.After(50 * time.Millisecond):
	}
	if err := l.Load("ext4"); err != nil {
		t.Errorf("a built-in one after Stop: %v", err)
	}
	close(release)
	<-stopped
	if err := <-loaded; err != nil {
		t.Error(err)
	}
	if err := l.Load("reed_solomon"); err != nil {
		t.Errorf("a loaded one after Stop: %v", err)
	}
	if err := l.Load("dm_verity"); !errors.Is(err, ErrStopped) {
		t.Errorf("a new one after Stop: %v", err)
	}
	l.Stop()
	if order := k.order(); !slices.Equal(order, []string{"reed_solomon"}) {
		t.Errorf("inserted %q", order)
	}
}

func TestStopInTheMiddleOfANeed(t *testing.T) {
	entered, release := make(chan string, 8), make(chan struct{})
	k := &fakeKernel{enter: func(name string) {
		entered <- name
		<-release
	}}
	l := newLoader(t, k)
	loaded := make(chan error, 1)
	go func() { loaded <- l.Load("erofs") }()
	if name := <-entered; name != "crc32c_intel" {
		t.Errorf("%s came first", name)
	}
	stopped := make(chan struct{})
	go func() {
		l.Stop()
		close(stopped)
	}()
	waitStopped(l)
	close(release)
	<-stopped
	// All that had been started was brought to its end.
	if err := <-loaded; err != nil {
		t.Error(err)
	}
	if order := k.order(); !slices.Equal(order, []string{"crc32c_intel", "libcrc32c", "erofs"}) {
		t.Errorf("inserted %q", order)
	}
}

func TestErrorsSayWhichModule(t *testing.T) {
	err := &Error{Module: "dm_verity", Errno: unix.ENOEXEC}
	if err.Error() != "load module dm_verity: exec format error" || !errors.Is(err, unix.ENOEXEC) {
		t.Error(err)
	}
}

func TestInsertOfWhatIsNoModule(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// Without privileges EPERM, with them ENOEXEC or the like: never success.
	if err := insertModule(file, ""); err == nil {
		t.Error("/dev/null is a module")
	}
}
