// Package keyring gives keys to the kernel: a root hash's signature for the moment in which a
// dm-verity table is loaded, and the certificates that the kernel checks such signatures against.
//
// The calls are those of keyctl(2). The package does not look into keys: package cms reads
// certificates and signatures.
package keyring

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// MaxUserKey is the size in bytes of the largest payload of a key of the type "user" (user(7)
// of keyrings(7); the kernel's user_preparse).
const MaxUserKey = 32767

// Operation is what the kernel was asked to do.
type Operation string

// The operations.
const (
	OperationAdd    Operation = "add"
	OperationUnlink Operation = "unlink"
	OperationSeal   Operation = "seal"
)

// Error is an operation that the kernel refused.
type Error struct {
	Operation Operation
	// Key names what was added, unlinked or sealed.
	Key   string
	Errno error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Operation, e.Key, e.Errno) }

func (e *Error) Unwrap() error { return e.Errno }

// WithUserKey calls use while a key of the type "user" with this description lies in the keyring of
// the calling thread, where no other thread and no other process finds it, and unlinks it
// afterwards, also if use panics. What use asks of the kernel must be asked by the goroutine that it
// is called on, which is locked to its thread meanwhile.
//
// The payload has 1 to MaxUserKey bytes, as the kernel has it. An *Error says that the key was not
// added, and use not called, or that it was not unlinked; other errors are those of use.
func WithUserKey(description string, payload []byte, use func() error) (err error) {
	name := fmt.Sprintf("user key %q of %d bytes", description, len(payload))
	if len(payload) == 0 || len(payload) > MaxUserKey {
		return &Error{Operation: OperationAdd, Key: name, Errno: unix.EINVAL}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	id, err := unix.AddKey("user", description, payload, unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return &Error{Operation: OperationAdd, Key: name, Errno: err}
	}
	defer func() {
		// The error of use tells more.
		if _, failed := unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_THREAD_KEYRING, 0, 0); failed != nil && err == nil {
			err = &Error{Operation: OperationUnlink, Key: name, Errno: failed}
		}
	}()
	return use()
}
