package imagepolicy

import "fmt"

// Found says what an image has for a designator of data.
type Found struct {
	Present bool // there is such a partition
	// Verity and Signature say that there is a partition with the hash tree, and one with a signature. What lies beside
	// the image counts with Bare only.
	Verity, Signature bool
	Encrypted         bool // LUKS
	ReadOnly, GrowFS  bool // attributes of the partition in the GPT
	// Bare says that the image has no partition table. Its only file system is that of Root, and then what covers it counts
	// as nothing less: what has a signature is Signed and not also Verity.
	Bare bool
}

// Use says how data may be used.
type Use struct {
	// Ignored data is not used at all, or not there and need not be. Nothing else is set then.
	Ignored bool
	// Verity says that dm-verity is to be set up. It is not if the policy does not allow to use the
	// hash tree. Data that does not verify must not be used then, whatever else is allowed.
	Verity bool
	// SignatureAllowed says that a signature is to be checked. It is false without Verity.
	SignatureAllowed bool
	// VerityAllowed says that a root hash without a valid signature will do. It is false without Verity.
	VerityAllowed bool
	// UnprotectedAllowed says that the policy would allow the data without protection, too.
	UnprotectedAllowed bool
	// FileSystems are the types that the data may have, as from Policy.FileSystems; nil means any.
	FileSystems []string
	// OnlyFileSystems is not from the policy: types outside of it are not mounted, whatever is allowed. Nil means any.
	OnlyFileSystems []string
}

// Error says why an image does not match a policy.
type Error struct {
	Designator Designator // of the partition that does not match
	Found      Found      // what was judged
	Allowed    Flags      // what the policy has for Designator
	Reason     string     // what is wrong with the partition, for people: "is encrypted"
}

func (e *Error) Error() string {
	allowed := e.Allowed.String()
	if e.Allowed&Open == 0 {
		allowed = "nothing"
	}
	return fmt.Sprintf("it does not match the image policy: its %s partition %s, allowed is %s", e.Designator, e.Reason, allowed)
}

// Judge returns how the data of an image may be used, or an *Error if the image must not be used at all.
//
// Hash tree and signature have to match the policy, too: one whose partition is to be ignored does not count, one that
// must be there and is not makes an *Error. Their attributes are not looked at, and neither are designators other than d and
// its two.
//
// In one thing this is stricter than systemd 262, which takes data that is neither encrypted nor covered by a hash tree for
// "encrypted" if the policy also has "verity", "signed" or "unused".
func (p Policy) Judge(d Designator, f Found) (Use, error) {
	if f.Bare && !f.Present {
		return Use{Ignored: true}, nil
	}
	present, err := p.counts(d, f.Present, f)
	if err != nil {
		return Use{}, err
	}
	tree, signature := f.Verity, f.Verity && f.Signature
	if present {
		// First as if all counted: a hash tree that is missing is not what people need to read about
		// when the data must have one.
		if err := p.checkProtection(d, f, tree, signature); err != nil {
			return Use{}, err
		}
	}
	if !f.Bare {
		if tree, signature, err = p.companionsCount(d, present, f); err != nil {
			return Use{}, err
		}
	}
	if !present {
		return Use{Ignored: true}, nil
	}
	if err := p.checkProtection(d, f, tree, signature); err != nil {
		return Use{}, err
	}
	if err := p.checkAttributes(d, f); err != nil {
		return Use{}, err
	}
	allowed := p.For(d)
	use := Use{Verity: tree && allowed&(Verity|Signed) != 0, UnprotectedAllowed: allowed&Unprotected != 0, FileSystems: p.FileSystems(d)}
	if use.Verity {
		use.VerityAllowed = allowed&Verity != 0
		// A signature that is ignored is none. Where there is no partition of it, one can still lie beside the image.
		use.SignatureAllowed = allowed&Signed != 0 && (signature || !f.Signature)
	}
	return use, nil
}

func (p Policy) refuse(d Designator, f Found, reason string) error {
	return &Error{Designator: d, Found: f, Allowed: p.For(d), Reason: reason}
}

// counts returns whether a partition is there and not to be ignored.
func (p Policy) counts(d Designator, present bool, f Found) (bool, error) {
	switch allowed := p.For(d) & Open; {
	case !present && allowed&Absent == 0:
		return false, p.refuse(d, f, "is missing")
	case present && (allowed == Absent || allowed == 0):
		return false, p.refuse(d, f, "is there")
	default:
		return present && allowed&^Ignore != 0, nil
	}
}

// companionsCount returns which of a hash tree and a signature in partitions count. One that counts without
// what it covers is an error, as to systemd.
func (p Policy) companionsCount(d Designator, data bool, f Found) (tree, signature bool, err error) {
	treeDesignator, signatureDesignator := d.companions()
	if treeDesignator == "" {
		return false, false, nil
	}
	if tree, err = p.counts(treeDesignator, f.Verity, f); err != nil {
		return false, false, err
	}
	if signature, err = p.counts(signatureDesignator, f.Signature, f); err != nil {
		return false, false, err
	}
	if tree && !data {
		return false, false, p.refuse(treeDesignator, f, "covers data that is not used")
	}
	if signature && !tree {
		return false, false, p.refuse(signatureDesignator, f, "is for a hash tree that is not used")
	}
	return tree, signature, nil
}

// checkProtection compares what the data can be used as with what is allowed. What of hash tree and signature counts can
// be less than what was found.
func (p Policy) checkProtection(d Designator, f Found, tree, signature bool) error {
	if p.For(d)&f.uses(tree, signature) != 0 {
		return nil
	}
	reason := "is unprotected"
	switch {
	case f.Encrypted && !(f.Bare && tree):
		reason = "is encrypted"
	case f.Verity && !tree:
		reason = "has a hash tree that is to be ignored"
	case f.Signature && tree && !signature:
		reason = "has a hash tree and a signature that is to be ignored"
	case signature:
		reason = "has a hash tree and a signature"
	case tree:
		reason = "has a hash tree without a signature"
	}
	return p.refuse(d, f, reason)
}

// uses returns what the data can be used as, given what of hash tree and signature counts. Of partitions the
// protection can be left aside.
func (f Found) uses(tree, signature bool) Flags {
	switch {
	case f.Bare && signature:
		return Signed
	case f.Bare && tree:
		return Verity
	case f.Encrypted:
		return Encrypted
	case signature:
		return Signed | Verity | Unprotected
	case tree:
		return Verity | Unprotected
	}
	return Unprotected
}

func (p Policy) checkAttributes(d Designator, f Found) error {
	allowed := p.For(d)
	for _, attribute := range [...]struct {
		name    string
		set     bool
		on, off Flags
	}{
		{"read-only", f.ReadOnly, ReadOnlyOn, ReadOnlyOff},
		{"growfs", f.GrowFS, GrowFSOn, GrowFSOff},
	} {
		switch allowed & (attribute.on | attribute.off) {
		case attribute.on:
			if !attribute.set {
				return p.refuse(d, f, "lacks the attribute "+attribute.name)
			}
		case attribute.off:
			if attribute.set {
				return p.refuse(d, f, "has the attribute "+attribute.name)
			}
		}
	}
	return nil
}
