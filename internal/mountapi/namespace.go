package mountapi

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Namespace is a private copy of the caller's mount namespace with one thread in it. What is mounted or
// taken away there is seen by nobody else, and goes with the thread however that ends. A detached
// mount made there (New, CloneTree) can be attached by the caller outside: it belongs to no
// namespace until then.
//
// Paths lead to the copies of the mounts that were there when the namespace was made. A mount id read inside
// is that of a copy.
type Namespace struct {
	work chan func()
}

// NewNamespace copies the mount namespace. It takes CAP_SYS_ADMIN.
func NewNamespace() (*Namespace, error) {
	n := &Namespace{work: make(chan func())}
	ready := make(chan error)
	go n.run(ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Namespace) run(ready chan<- error) {
	// Never unlocked: the thread cannot be used for anything else, so that the runtime ends it with the goroutine.
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The first thread of a process does not end before the process does. Hold it until another one is
		// taken.
		other := make(chan error)
		go n.run(other)
		ready <- <-other
		runtime.UnlockOSThread()
		return
	}
	if err := enterPrivate(); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for work := range n.work {
		work()
	}
}

func enterPrivate() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts of a namespace private: %w", err)
	}
	return nil
}

// Do runs a function in the namespace and returns its error. The function starts no goroutine that uses
// paths, and does not call Do.
func (n *Namespace) Do(function func() error) error {
	done := make(chan error)
	n.work <- func() {
		var err error
		defer func() { done <- err }()
		err = function()
	}
	return <-done
}

// Close ends the thread, and with it the namespace.
func (n *Namespace) Close() { close(n.work) }
