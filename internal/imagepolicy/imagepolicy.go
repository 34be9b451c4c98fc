// Package imagepolicy reads systemd's image policies (systemd.image-policy(7)) and decides by them
// how an image may be used.
//
// What a policy means is as in systemd 262, also where its manual is silent. Finding out what an
// image has is the caller's work, and so is verifying it: here a hash tree or a signature is only there or not.
package imagepolicy

import "strings"

// Policy says what is allowed for each designator. The zero value is "-": everything is ignored.
type Policy struct {
	// entries by index of the designator, as canonical has them; 0 where there is none.
	entries [len(designators)]Flags
	// otherwise is for the designators without an entry; 0 stands for Ignore.
	otherwise Flags
}

// canonical writes out that no use is every use, and leaves out what decides nothing.
func canonical(flags Flags) Flags {
	if flags&Open == 0 {
		flags |= Open
	}
	for _, group := range [...]Flags{readOnlyFlags, growFSFlags} {
		if flags&group == group {
			flags &^= group
		}
	}
	if flags&Open == Absent {
		flags &^= attributeFlags
	}
	return flags
}

func (p *Policy) set(d Designator, flags Flags) {
	p.entries[d.index()] = canonical(flags)
}

func (p *Policy) fallback() Flags {
	if p.otherwise == 0 {
		return Ignore
	}
	return p.otherwise
}

// For returns what is allowed for a designator, nothing for one that is not known.
//
// Both flags of an attribute are set if it does not matter. Uses that a kind of partition cannot have are left out, so
// that none may remain. A hash tree or signature without an entry follows the entry of its data, if there
// is one that allows to use it: it may then be unused or absent if the data may, and has the same attributes. From
// the default for other designators it inherits nothing, it is under that default itself.
func (p Policy) For(d Designator) Flags {
	i := d.index()
	if i < 0 {
		return 0
	}
	if flags := p.entries[i]; flags != 0 {
		return effective(d, flags)
	}
	if data, uses := d.protected(); uses != 0 {
		if flags := p.entries[data.index()]; flags&uses != 0 {
			return effective(d, Unprotected|flags&(Ignore|attributeFlags))
		}
	}
	return effective(d, p.fallback())
}

// effective fills in what canonical flags leave open, and takes away what there cannot be.
func effective(d Designator, flags Flags) Flags {
	for _, group := range [...]Flags{readOnlyFlags, growFSFlags} {
		if flags&group == 0 {
			flags |= group
		}
	}
	if tree, _ := d.companions(); tree == "" {
		flags &^= Verity | Signed
	}
	if _, uses := d.protected(); uses != 0 {
		flags &^= Encrypted | EncryptedWithIntegrity
	}
	if flags&Open == Absent {
		flags &^= attributeFlags
	}
	return flags
}

// FileSystems returns the types of file system that a partition may have, by the kernel's names; nil
// means any. A single one is to be mounted as that, without a look at it. To systemd 262 more than one is the
// same as none.
func (p Policy) FileSystems(d Designator) []string {
	flags := p.For(d) & fileSystemFlags
	if flags == 0 {
		return nil
	}
	return strings.Split(flags.String(), "+")
}

// String returns the policy in words that Parse reads as the same, without entries that change nothing. Policies
// that differ in effect have different texts.
func (p Policy) String() string {
	p.reduce()
	var words []string
	for i, flags := range p.entries {
		if flags != 0 {
			words = append(words, string(designators[i])+"="+flags.String())
		}
	}
	otherwise := p.fallback()
	switch {
	case len(words) == 0 && otherwise == Ignore:
		return "-"
	case len(words) == 0 && otherwise == Open:
		return "*"
	case len(words) == 0 && otherwise == Absent:
		return "~"
	case otherwise != Ignore:
		words = append(words, "="+otherwise.String())
	}
	return strings.Join(words, ":")
}

// reduce takes out entries that change nothing. Data comes before what protects it, which can follow the entry of the data:
// so what is needed once stays so.
func (p *Policy) reduce() {
	for i := range p.entries {
		without := *p
		without.entries[i] = 0
		if p.sameEffect(without) {
			*p = without
		}
	}
}

func (p *Policy) sameEffect(other Policy) bool {
	for _, d := range designators {
		if p.For(d) != other.For(d) {
			return false
		}
	}
	return true
}
