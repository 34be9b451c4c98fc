package verity

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/keyring"
	"github.com/preroot/preroot/internal/trust"
)

// certificateKeyring is the kernel's keyring of certificates for root hashes.
type certificateKeyring interface {
	AddCertificate(der []byte) error
	Seal() error
}

// runTrust gives certificates to the kernel and seals its keyring: verity trust [CERT...].
func runTrust(_ context.Context, s *session) error {
	ring, err := keyring.Find(keyring.DMVerity)
	if err != nil {
		return noKeyring(err, "/sys")
	}
	return s.fill(ring)
}

// fill adds the certificates that were named, none if one cannot be read, and seals the
// keyring in any case: what fails on the way must not leave it open to whoever comes next.
func (s *session) fill(ring certificateKeyring) error {
	problem := s.addCertificates(ring)
	// A keyring that is sealed already is what is wanted, too; addCertificates has met it.
	if err := ring.Seal(); err != nil && !errors.Is(err, unix.EEXIST) {
		lines := "Keyring " + keyring.DMVerity + " is NOT sealed: " + errnoOf(err) + "."
		if problem != nil {
			lines = problem.Error() + "\n" + lines
		}
		return &failure{code: exitParameters, lines: lines, cause: err}
	}
	s.debugf("Keyring %s is sealed.", keyring.DMVerity)
	return problem
}

// addCertificates reads all certificates before it adds the first.
func (s *session) addCertificates(ring certificateKeyring) error {
	certificates := make([][]byte, len(s.operands))
	for i, path := range s.operands {
		var err error
		if certificates[i], err = trust.ReadDER(path); err != nil {
			return fail(exitParameters, err.Error())
		}
	}
	for i, der := range certificates {
		if err := ring.AddCertificate(der); err != nil {
			return refusedCertificate(s.operands[i], err)
		}
		s.debugf("Added certificate %s to keyring %s.", s.operands[i], keyring.DMVerity)
	}
	return nil
}

// toUnseal is what a person does to have a keyring that can be filled.
const toUnseal = "Load dm_verity with keyring_unsealed=1."

func refusedCertificate(path string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return &failure{code: exitBusy, cause: err,
			lines: "Keyring " + keyring.DMVerity + " is sealed already, certificate " + path + " was not added. " + toUnseal}
	case errors.Is(err, unix.ENOPKG):
		return &failure{code: exitParameters, lines: "The kernel does not support the algorithms of certificate " + path + ".", cause: err}
	}
	return &failure{code: exitParameters, lines: "The kernel does not take certificate " + path + ": " + errnoOf(err) + ".", cause: err}
}

// errnoOf is the kernel's reason alone.
func errnoOf(err error) string {
	if refused, ok := errors.AsType[*keyring.Error](err); ok {
		return refused.Errno.Error()
	}
	return err.Error()
}

// noKeyring tells a kernel without the keyring from a module that is not loaded, by sysfs.
func noKeyring(err error, sys string) error {
	if !errors.Is(err, keyring.ErrNoKeyring) {
		return fail(exitParameters, err.Error())
	}
	if _, missing := os.Stat(sys + "/module/dm_verity"); missing != nil {
		return &failure{code: exitDevice, lines: "Kernel module dm_verity is not loaded. " + toUnseal, cause: err}
	}
	return &failure{code: exitParameters, cause: err,
		lines: fmt.Sprintf("This kernel has no keyring %s (Linux 7.0 or newer has it).", keyring.DMVerity)}
}
