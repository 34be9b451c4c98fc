package apply

import (
	"encoding/hex"
	"errors"

	"github.com/preroot/preroot/internal/cms"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/keyring"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/trust"
)

// Signed is the signature of a root hash, and what has to stand behind the root hash.
type Signed struct {
	Policy   trust.Policy
	Presence trust.Presence
	// DER is a PKCS#7 message that is not parsed yet; Absent says that there is none.
	DER []byte
	// Key is the description that the signature has in the keyring while the kernel looks at it.
	Key string
	// Certificates are those that count in user space, or the reason why none does.
	Certificates func() ([]*cms.Certificate, error)
}

// SignatureOutcome says what became of a signature.
type SignatureOutcome struct {
	State plan.SignatureState
	// Note says why the signature was not accepted.
	Note string
}

// RefusedError says that a root hash lacks the signature that the policy wants.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// OpenSigned opens a verity device as the policy for its root hash has it: package trust decides. Of v it sets the
// signature. A *RefusedError says that the policy is not met; nothing is open then, nor after any other error.
func OpenSigned(dm *devmapper.Control, v *plan.Verity, s Signed) (device devmapper.Device, outcome SignatureOutcome, err error) {
	outcome.State = plan.NoSignature
	facts := trust.Facts{Policy: s.Policy, Signature: s.Presence}
	open := func(signature []byte) error {
		v.Signature, v.Table.Options.SignatureKey = signature, ""
		if signature != nil {
			v.Table.Options.SignatureKey = s.Key
		}
		device, err = OpenVerity(dm, v)
		return err
	}
	var refused, unconfirmed error
	for {
		decision := trust.Decide(facts)
		switch decision.Step {
		case trust.AskKernel:
			if lacksKeys(s.DER) {
				facts.Kernel = trust.KernelLacksKey
				continue
			}
			refused = open(s.DER)
			answer, ok := KernelAnswer(refused)
			if !ok {
				return device, outcome, refused
			}
			facts.Kernel = answer
		case trust.AskUserSpace:
			facts.UserSpace, unconfirmed = askUserSpace(v.Table.RootHash, s)
		case trust.Done:
			outcome.State = plan.SignatureByKernel
			return device, outcome, nil
		case trust.OpenChecked:
			outcome.State = plan.SignatureByUser
			err := open(nil)
			return device, outcome, err
		case trust.OpenUnsigned:
			if decision.Reason != "" {
				outcome = SignatureOutcome{plan.SignatureUnaccepted, because(decision.Reason, unconfirmed)}
			}
			err := open(nil)
			return device, outcome, err
		default:
			return device, outcome, &RefusedError{because(decision.Reason, unconfirmed)}
		}
	}
}

// lacksKeys reports whether the kernel has no key for a signature for certain, which is much cheaper to learn than by loading a table.
func lacksKeys(signature []byte) bool {
	identifiers, err := cms.KeyIdentifiers(signature)
	return err == nil && keyring.LacksKeys(identifiers)
}

func because(reason string, unconfirmed error) string {
	if unconfirmed != nil {
		reason += " (" + unconfirmed.Error() + ")"
	}
	return reason
}

func askUserSpace(root []byte, s Signed) (trust.UserSpaceAnswer, error) {
	trusted, err := s.Certificates()
	if err != nil {
		return trust.UserSpaceOff, err
	}
	if len(trusted) == 0 {
		return trust.UserSpaceOff, errors.New("there is no trusted certificate")
	}
	if err := trust.Check(hex.EncodeToString(root), s.DER, trusted); err != nil {
		return trust.UserSpaceRejects, err
	}
	return trust.UserSpaceAccepts, nil
}

// openSigned opens the verity device of an image as its policy has it and returns its node.
func (w *Workspace) openSigned(dm *devmapper.Control, image extension.Image, v *plan.Verity) (node string, outcome SignatureOutcome, err error) {
	s := Signed{Policy: trust.PolicySigned, DER: imageSignature(image), Key: "preroot:" + v.Name, Certificates: w.Certificates}
	if image.Use.VerityAllowed {
		s.Policy = trust.PolicyVerity
	}
	if s.DER != nil && image.Use.SignatureAllowed {
		s.Presence = trust.Found
	}
	device, outcome, err := OpenSigned(dm, v, s)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		err = errors.New("the image policy wants a signature that is accepted: " + refused.Reason)
	}
	if err != nil {
		return "", outcome, err
	}
	return device.Node(), outcome, nil
}

// imageSignature is the signature in DER of the root hash that counts, nil if there is none.
func imageSignature(image extension.Image) []byte {
	if image.Sidecar != nil && image.Sidecar.Signature != nil {
		return image.Sidecar.Signature
	}
	if image.Dissected.Signed != nil {
		return image.Dissected.Signed.Signature
	}
	return nil
}

// KernelAnswer reads out of what the opening of a device with a signature ended with what the kernel said to the
// signature. It reports false where something else failed. A signature that the kernel does not take as a key,
// such as one that is too large, it cannot check.
func KernelAnswer(err error) (trust.KernelAnswer, bool) {
	if IsNoKey(err) {
		return trust.KernelLacksCode, true
	}
	if err == nil {
		return trust.ReadKernelAnswer(nil, "")
	}
	refused, ok := errors.AsType[*devmapper.Error](err)
	if !ok || refused.Command != devmapper.CommandLoad {
		return trust.KernelNotAsked, false
	}
	return trust.ReadKernelAnswer(refused, refused.KernelLog)
}

// IsNoKey reports whether the kernel did not take the signature as a key.
func IsNoKey(err error) bool {
	failed, ok := errors.AsType[*keyring.Error](err)
	return ok && failed.Operation == keyring.OperationAdd
}
