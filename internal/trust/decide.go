package trust

import (
	"fmt"
	"slices"
)

// Policy is what has to stand behind a root hash before a device is opened.
type Policy string

// The policies, by the words that are typed. The zero value is PolicyAny.
const (
	// PolicySigned wants a signature that the kernel or the check in user space accepts.
	PolicySigned Policy = "signed"
	// PolicyVerity takes the root hash alone: a signature that nobody accepts does not matter.
	PolicyVerity Policy = "verity"
	// PolicyAny goes by the signature: one that somebody gave has to be accepted; one that was found
	// beside the device need not be, since whoever writes the device could leave it out; and none
	// is needed.
	PolicyAny Policy = "any"
)

// ParsePolicy reads a policy's word; no word is PolicyAny.
func ParsePolicy(word string) (Policy, error) {
	policy := Policy(word)
	switch {
	case word == "":
		return PolicyAny, nil
	case slices.Contains([]Policy{PolicySigned, PolicyVerity, PolicyAny}, policy):
		return policy, nil
	}
	return "", fmt.Errorf("policy %q is none of signed, verity, any", word)
}

// Presence says where a signature comes from.
type Presence int

// There is no signature; it was found on the same disk as the device; somebody gave it.
const (
	Absent Presence = iota
	Found
	Given
)

// KernelAnswer is what the kernel said to a table with the signature.
type KernelAnswer int

// The answers. KernelLacksKey and KernelLacksCode (no support for signatures, or for the
// algorithm of this one) mean that the kernel could not judge; KernelRejects that it judged: the
// signature is wrong, or its key is revoked.
const (
	KernelNotAsked KernelAnswer = iota
	KernelAccepts
	KernelLacksKey
	KernelLacksCode
	KernelRejects
)

// UserSpaceAnswer is the result of the check in user space.
type UserSpaceAnswer int

// The answers. UserSpaceOff means that the check is switched off or has no certificates.
const (
	UserSpaceNotAsked UserSpaceAnswer = iota
	UserSpaceAccepts
	UserSpaceRejects
	UserSpaceOff
)

// Facts are what is known of a signature so far.
type Facts struct {
	Policy    Policy
	Signature Presence
	Kernel    KernelAnswer
	UserSpace UserSpaceAnswer
}

// Step is what comes next.
type Step int

// The steps. The first two lead to another decision, with the answer among the facts.
const (
	// Refuse: do not open.
	Refuse Step = iota
	// AskKernel: load a table that names the signature; if the kernel accepts it, the device is open.
	AskKernel
	// AskUserSpace: check the signature against the trusted certificates.
	AskUserSpace
	// Done: the device is open, the kernel accepted the signature.
	Done
	// OpenChecked: open with a table that names no signature; it was accepted in user space.
	OpenChecked
	// OpenUnsigned: open by the root hash alone.
	OpenUnsigned
)

// Decision is a step and why it is taken. The reason is part of a sentence, "" where nothing has to
// be explained.
type Decision struct {
	Step   Step
	Reason string
}

// Decide says what comes next. The kernel is asked first, since it goes on protecting what it
// has accepted from everybody else in this system; user space only about what the
// kernel could not judge, never about what it has rejected. A device is opened by its root hash alone
// only where the policy says so, and with a reason to tell.
func Decide(f Facts) Decision {
	if f.Signature == Absent {
		if f.allowsUnsigned() {
			return Decision{Step: OpenUnsigned}
		}
		return Decision{Refuse, "there is no signature"}
	}
	switch f.Kernel {
	case KernelNotAsked:
		return Decision{Step: AskKernel}
	case KernelAccepts:
		return Decision{Step: Done}
	case KernelRejects:
		return f.unaccepted("the kernel rejects the signature")
	}
	kernel := "the kernel has no key for the signature"
	if f.Kernel == KernelLacksCode {
		kernel = "the kernel cannot check the signature"
	}
	switch f.UserSpace {
	case UserSpaceNotAsked:
		return Decision{AskUserSpace, kernel}
	case UserSpaceAccepts:
		return Decision{OpenChecked, kernel + ", a trusted certificate confirms it"}
	case UserSpaceRejects:
		return f.unaccepted(kernel + ", no trusted certificate confirms it")
	}
	return f.unaccepted(kernel)
}

// unaccepted ends with a signature that nobody accepted.
func (f Facts) unaccepted(reason string) Decision {
	if f.allowsUnsigned() {
		return Decision{OpenUnsigned, reason}
	}
	return Decision{Refuse, reason}
}

// allowsUnsigned reports whether the root hash alone may do.
func (f Facts) allowsUnsigned() bool {
	switch f.Policy {
	case PolicyVerity:
		return true
	case PolicyAny, "":
		return f.Signature != Given
	}
	return false
}
