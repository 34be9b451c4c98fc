package verity

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/keyring"
	"github.com/preroot/preroot/internal/trust"
)

// signature is a root hash's signature: a PKCS#7 message in DER that is not parsed yet.
type signature struct {
	der []byte
	// presence says whether somebody gave it or it was found beside the device, path where.
	presence trust.Presence
	path     string
}

// readSignature reads the file of --root-hash-signature, with the original's messages; nil
// without the option. The kernel takes at most keyring.MaxUserKey bytes, which is found out when it gets
// them, as in the original.
func (s *session) readSignature() (*signature, error) {
	path := s.rootHashSignature
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, &failure{code: exitParameters, lines: "Invalid signature file " + path + ".", cause: err}
	}
	der, err := readUpTo(path, keyring.MaxUserKey+1)
	if err != nil || len(der) == 0 {
		return nil, &failure{code: exitParameters, lines: "Cannot read signature file " + path + ".", cause: err}
	}
	return &signature{der, trust.Given, path}, nil
}

func readUpTo(path string, size int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, size))
}

// openSigned opens a device as --policy has it: with the signature, nil if there is none, if it is
// accepted by the kernel or, where the kernel cannot judge, in user space; without where the policy
// lets the root hash do, which is said on standard error. It never steps down otherwise.
//
// rootHash is lower case hex as in the table. open makes the device, on the goroutine that it is called on,
// and leaves nothing behind when it fails. It gets the signature in DER that the kernel has to check, nil
// for a table without. A refusal of the kernel must be a *devmapper.Error in the chain of its error; what
// it prints by default is that error's own text.
func (s *session) openSigned(rootHash string, given *signature, open func(der []byte) error) error {
	certificates, err := readCertificates(s.certificates)
	if err != nil {
		return err
	}
	facts := trust.Facts{Policy: s.effectivePolicy(), Signature: trust.Absent}
	if given != nil {
		facts.Signature = given.presence
	}
	var refused, unconfirmed error
	for {
		decision := trust.Decide(facts)
		switch decision.Step {
		case trust.AskKernel:
			refused = open(given.der)
			answer, ok := apply.KernelAnswer(refused)
			if !ok {
				return refused
			}
			facts.Kernel = answer
		case trust.AskUserSpace:
			facts.UserSpace, unconfirmed = s.askUserSpace(rootHash, given, certificates)
		case trust.Done:
			return nil
		case trust.OpenChecked:
			s.debugf("Signature %s: %s.", given.path, decision.Reason)
			return open(nil)
		case trust.OpenUnsigned:
			if decision.Reason != "" {
				fmt.Fprintf(s.stderr, "%s: WARNING: opened by its root hash alone, signature %s does not count: %s\n",
					s.program, given.path, because(decision.Reason, refused, unconfirmed))
			}
			return open(nil)
		default:
			return s.refusal(decision.Reason, facts, refused, unconfirmed)
		}
	}
}

// effectivePolicy is what was typed. Whoever names certificates wants them to decide.
func (s *session) effectivePolicy() trust.Policy {
	switch {
	case s.policy != "":
		return trust.Policy(s.policy)
	case len(s.certificates) > 0:
		return trust.PolicySigned
	}
	return trust.PolicyAny
}

// refusal says why a device is not opened. Where nothing of ours was asked for, it is what the
// original says.
func (s *session) refusal(reason string, facts trust.Facts, refused, unconfirmed error) error {
	if facts.Signature == trust.Absent {
		return fail(exitParameters, "Root hash signature required.")
	}
	code, lines := exitParameters, refused.Error()
	if f, ok := errors.AsType[*failure](refused); ok {
		code, lines = f.code, f.lines
	}
	if apply.IsNoKey(refused) {
		code, lines = exitParameters, "Failed to load key in kernel keyring."
	}
	cause := errors.New(because(reason, refused, unconfirmed))
	if s.policy != "" || len(s.certificates) > 0 {
		return &failure{code: code, lines: lines + "\n" + s.program + ": not opened: " + cause.Error()}
	}
	return &failure{code: code, lines: lines, cause: cause}
}

// because adds to a reason what is behind it.
func because(reason string, refused, unconfirmed error) string {
	if kernel, ok := errors.AsType[*devmapper.Error](refused); ok {
		reason += " (" + kernel.Errno.Error() + ")"
	} else if key, ok := errors.AsType[*keyring.Error](refused); ok {
		reason += " (" + key.Error() + ")"
	}
	if unconfirmed != nil {
		reason += "; in user space: " + unconfirmed.Error()
	}
	return reason
}
