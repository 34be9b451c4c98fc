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

// keyRing is the kernel's keyring of trusted certificates.
type keyRing interface {
	AddCertificate(der []byte) error
	Seal() error
}

// kernelCertificate is a certificate in DER, and the file that it comes from.
type kernelCertificate struct {
	path string
	der  []byte
}

// runTrust gives certificates to the kernel and seals its keyring: verity trust [CERT...].
func runTrust(_ context.Context, s *session) error {
	ring, err := keyring.Find(keyring.DMVerity)
	if err != nil {
		return noKeyring(err)
	}
	return s.fill(ring)
}

// fill adds the certificates that were named, all or none if one cannot be read, and seals the
// keyring in any case: what fails on the way must not leave it open to whoever comes next.
func (s *session) fill(ring keyRing) error {
	problem := s.addCertificates(ring)
	err := ring.Seal()
	switch {
	case err == nil:
		s.debugf("Sealed keyring %s.", keyring.DMVerity)
		return problem
	case errors.Is(err, unix.EEXIST):
		s.debugf("Keyring %s is sealed already.", keyring.DMVerity)
		return problem
	}
	lines := fmt.Sprintf("Keyring %s is NOT sealed: %v.", keyring.DMVerity, err)
	if problem != nil {
		lines = problem.Error() + "\n" + lines
	}
	return &failure{code: exitParameters, lines: lines, cause: err}
}

func (s *session) addCertificates(ring keyRing) error {
	var certificates []kernelCertificate
	for _, path := range s.operands {
		der, err := trust.ReadDER(path)
		if err != nil {
			return fail(exitParameters, err.Error())
		}
		certificates = append(certificates, kernelCertificate{path, der})
	}
	for _, c := range certificates {
		if err := ring.AddCertificate(c.der); err != nil {
			return refusedCertificate(c.path, err)
		}
		s.debugf("Added certificate %s to keyring %s.", c.path, keyring.DMVerity)
	}
	return nil
}

// toUnseal is what a person does to have a keyring that can be filled.
const toUnseal = "Load dm_verity with keyring_unsealed=1."

func refusedCertificate(path string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return &failure{code: exitBusy, cause: err,
			lines: "Keyring " + keyring.DMVerity + " is sealed already, " + path + " was not added. " + toUnseal}
	case errors.Is(err, unix.ENOPKG):
		return &failure{code: exitParameters, lines: "The kernel does not support the algorithms of certificate " + path + ".", cause: err}
	}
	return &failure{code: exitParameters, lines: fmt.Sprintf("The kernel does not take certificate %s: %v.", path, err), cause: err}
}

// noKeyring tells a kernel without the keyring from a module that is not loaded.
func noKeyring(err error) error {
	if !errors.Is(err, keyring.ErrNoKeyring) {
		return &failure{code: exitParameters, lines: err.Error()}
	}
	if _, missing := os.Stat("/sys/module/dm_verity"); missing != nil {
		return &failure{code: exitDevice, lines: "Kernel module dm_verity is not loaded. " + toUnseal, cause: err}
	}
	return &failure{code: exitParameters, cause: err,
		lines: "This kernel has no keyring " + keyring.DMVerity + " (Linux 7.0 or newer has it)."}
}
