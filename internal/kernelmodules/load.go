package kernelmodules

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Loader loads modules, each once, what it needs first. Its methods may be
// called side by side: the kernel checks signatures and starts drivers on
// several processors then.
type Loader struct {
	// Parameters has those of modules by their names; it must not be changed after the first Load.
	Parameters map[string]string

	index *Index
	// insert gives an open module file to the kernel.
	insert func(file *os.File, parameters string) error

	mu      sync.Mutex
	loads   map[string]*load
	stopped bool
	running sync.WaitGroup
}

type load struct {
	done chan struct{}
	err  error
	time time.Duration
}

// ErrStopped is returned for modules asked for after Stop.
var ErrStopped = errors.New("loading of modules has ended")

// Error is a module that the kernel refused.
type Error struct {
	Module string
	Errno  error
}

func (e *Error) Error() string { return fmt.Sprintf("load module %s: %v", e.Module, e.Errno) }

func (e *Error) Unwrap() error { return e.Errno }

// NewLoader returns a loader for the running kernel.
func NewLoader(index *Index) *Loader {
	return &Loader{index: index, loads: map[string]*load{}, insert: insertModule}
}

func insertModule(file *os.File, parameters string) error {
	return unix.FinitModule(int(file.Fd()), parameters, 0)
}

// Load loads a module with all that it needs and returns when its init function
// has run. A module that is built in or loaded already is no error; one that
// is neither in the kernel nor in the image is.
func (l *Loader) Load(name string) error {
	name = canonical(name)
	if l.index.builtin[name] {
		return nil
	}
	file := l.index.file(name)
	if file == "" {
		return fmt.Errorf("load module %s: neither in the kernel nor in this image", name)
	}
	l.mu.Lock()
	entry, started := l.loads[name]
	if !started {
		if l.stopped {
			l.mu.Unlock()
			return ErrStopped
		}
		entry = &load{done: make(chan struct{})}
		l.loads[name] = entry
		l.running.Add(1)
	}
	l.mu.Unlock()
	if !started {
		entry.err = l.loadOnce(name, file, entry)
		close(entry.done)
		l.running.Done()
	}
	<-entry.done
	return entry.err
}

func (l *Loader) loadOnce(name, file string, entry *load) error {
	if err := l.loadNeeds(name); err != nil {
		return err
	}
	module, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("load module %s: %w", name, err)
	}
	defer module.Close()
	start := time.Now()
	err = l.insert(module, l.Parameters[name])
	entry.time = time.Since(start)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return &Error{Module: name, Errno: err}
	}
	return nil
}

// loadNeeds loads the dependencies side by side; the order among them follows
// from their own dependencies. What is only wanted (soft) may fail. Of several
// errors the last one counts: modules.dep names last what everything else before
// it needs.
func (l *Loader) loadNeeds(name string) error {
	needs := l.index.dependencies[name]
	errs := make([]error, len(needs))
	var all sync.WaitGroup
	for _, wanted := range l.index.before[name] {
		if l.index.IsLoadable(wanted) {
			all.Go(func() { _ = l.Load(wanted) })
		}
	}
	for i, need := range needs {
		all.Go(func() { errs[i] = l.Load(need) })
	}
	all.Wait()
	for _, err := range slices.Backward(errs) {
		if err != nil {
			return fmt.Errorf("load module %s: %w", name, err)
		}
	}
	return nil
}

// Stop waits for the loads under way and refuses new ones; a load that would
// have to start another one ends with ErrStopped. Before the root is switched
// nothing may open module files any more.
func (l *Loader) Stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.running.Wait()
}

// Times returns how long the kernel took for each module that was loaded.
func (l *Loader) Times() map[string]time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := make(map[string]time.Duration, len(l.loads))
	for name, entry := range l.loads {
		select {
		case <-entry.done:
			if entry.err == nil {
				times[name] = entry.time
			}
		default:
		}
	}
	return times
}
