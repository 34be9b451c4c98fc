package apply

import (
	"encoding/hex"
	"errors"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/keyring"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/trust"
)

// signatureOutcome says what became of the signature of an image.
type signatureOutcome struct {
	state plan.SignatureState
	note  string
}

// openSigned opens the verity device of an image as its policy has it (package trust decides) and returns its node.
func (w *Workspace) openSigned(dm *devmapper.Control, image extension.Image, v *plan.Verity) (node string, outcome signatureOutcome, err error) {
	der := imageSignature(image)
	outcome.state = plan.NoSignature
	facts := trust.Facts{Policy: trust.PolicySigned}
	if image.Use.VerityAllowed {
		facts.Policy = trust.PolicyVerity
	}
	if der != nil && image.Use.SignatureAllowed {
		facts.Signature = trust.Found
	}
	open := func(signature []byte) error {
		v.Signature, v.Table.Options.SignatureKey = signature, ""
		if signature != nil {
			v.Table.Options.SignatureKey = "preroot:" + v.Name
		}
		device, err := OpenVerity(dm, v)
		if err == nil {
			node = device.Node()
		}
		return err
	}
	var refused, unconfirmed error
	for {
		decision := trust.Decide(facts)
		switch decision.Step {
		case trust.AskKernel:
			refused = open(der)
			answer, ok := KernelAnswer(refused)
			if !ok {
				return "", outcome, refused
			}
			facts.Kernel = answer
		case trust.AskUserSpace:
			facts.UserSpace, unconfirmed = w.askUserSpace(image, der)
		case trust.Done:
			outcome.state = plan.SignatureByKernel
			return node, outcome, nil
		case trust.OpenChecked:
			outcome.state = plan.SignatureByUser
			err := open(nil)
			return node, outcome, err
		case trust.OpenUnsigned:
			if decision.Reason != "" {
				outcome = signatureOutcome{plan.SignatureUnaccepted, because(decision.Reason, unconfirmed)}
			}
			err := open(nil)
			return node, outcome, err
		default:
			return "", outcome, errors.New("the image policy wants a signature that is accepted: " + because(decision.Reason, unconfirmed))
		}
	}
}

func because(reason string, unconfirmed error) string {
	if unconfirmed != nil {
		reason += " (" + unconfirmed.Error() + ")"
	}
	return reason
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

func (w *Workspace) askUserSpace(image extension.Image, der []byte) (trust.UserSpaceAnswer, error) {
	trusted, err := w.Certificates()
	if err != nil {
		return trust.UserSpaceOff, err
	}
	if len(trusted) == 0 {
		return trust.UserSpaceOff, errors.New("there is no trusted certificate")
	}
	if err := trust.Check(hex.EncodeToString(image.RootHash()), der, trusted); err != nil {
		return trust.UserSpaceRejects, err
	}
	return trust.UserSpaceAccepts, nil
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
