package imagepolicy

import (
	"slices"
	"strings"
)

// Designator says what a partition is for, as systemd.image-policy(7) names it.
type Designator string

// The designators.
const (
	Root          Designator = "root"
	Usr           Designator = "usr"
	Home          Designator = "home"
	Srv           Designator = "srv"
	ESP           Designator = "esp"
	XBOOTLDR      Designator = "xbootldr"
	Swap          Designator = "swap"
	RootVerity    Designator = "root-verity"     // hash tree of Root
	UsrVerity     Designator = "usr-verity"      // hash tree of Usr
	RootVeritySig Designator = "root-verity-sig" // signature of the root hash of Root
	UsrVeritySig  Designator = "usr-verity-sig"  // signature of the root hash of Usr
	Tmp           Designator = "tmp"
	Var           Designator = "var"
)

// designators in the order in which systemd writes them.
var designators = [...]Designator{
	Root, Usr, Home, Srv, ESP, XBOOTLDR, Swap, RootVerity, UsrVerity, RootVeritySig, UsrVeritySig, Tmp, Var,
}

// index returns the place in designators, -1 for what is none.
func (d Designator) index() int {
	return slices.Index(designators[:], d)
}

// companions returns the designators of a data partition's hash tree and signature, "" for data that has
// neither.
func (d Designator) companions() (tree, signature Designator) {
	switch d {
	case Root:
		return RootVerity, RootVeritySig
	case Usr:
		return UsrVerity, UsrVeritySig
	}
	return "", ""
}

// protected returns, for the designator of a hash tree or signature, that of its data, and the uses of the data that
// it is good for; "" and 0 for others.
func (d Designator) protected() (data Designator, uses Flags) {
	for _, data := range [...]Designator{Root, Usr} {
		switch tree, signature := data.companions(); d {
		case tree:
			return data, Verity | Signed
		case signature:
			return data, Signed
		}
	}
	return "", 0
}

// Flags say what is allowed for a partition. Several of a group are alternatives.
type Flags uint32

// Uses: a partition is there and used as the flag says, there and not used, or not there.
const (
	Verity                 Flags = 1 << iota // through dm-verity
	Signed                                   // through dm-verity with a signed root hash
	Encrypted                                // LUKS
	EncryptedWithIntegrity                   // LUKS with dm-integrity
	Unprotected                              // neither dm-verity nor LUKS
	Unused
	Absent
)

// Attributes of the partition in the GPT.
const (
	ReadOnlyOn Flags = 1 << (iota + 7)
	ReadOnlyOff
	GrowFSOn
	GrowFSOff
)

// File systems.
const (
	BtrFS Flags = 1 << (iota + 11)
	EROFS
	Ext4
	F2FS
	SquashFS
	VFAT
	XFS
)

// Open allows every use, Ignore that a partition is not used, whether it is there or not.
const (
	Open   = Verity | Signed | Encrypted | EncryptedWithIntegrity | Unprotected | Unused | Absent
	Ignore = Unused | Absent
)

const (
	readOnlyFlags   = ReadOnlyOn | ReadOnlyOff
	growFSFlags     = GrowFSOn | GrowFSOff
	attributeFlags  = readOnlyFlags | growFSFlags
	fileSystemFlags = BtrFS | EROFS | Ext4 | F2FS | SquashFS | VFAT | XFS
)

// flagNames has first the abbreviations, then the words they stand for.
var flagNames = [...]struct {
	flags Flags
	name  string
}{
	{Open, "open"}, {Ignore, "ignore"},
	{Verity, "verity"}, {Signed, "signed"}, {Encrypted, "encrypted"}, {EncryptedWithIntegrity, "encryptedwithintegrity"},
	{Unprotected, "unprotected"}, {Unused, "unused"}, {Absent, "absent"},
	{ReadOnlyOn, "read-only-on"}, {ReadOnlyOff, "read-only-off"}, {GrowFSOn, "growfs-on"}, {GrowFSOff, "growfs-off"},
	{BtrFS, "btrfs"}, {EROFS, "erofs"}, {Ext4, "ext4"}, {F2FS, "f2fs"}, {SquashFS, "squashfs"}, {VFAT, "vfat"}, {XFS, "xfs"},
}

// String returns the flags as they are written in a policy. An attribute that may be on or off is left out; "-" is for no
// flags at all.
func (f Flags) String() string {
	for _, group := range [...]Flags{readOnlyFlags, growFSFlags} {
		if f&group == group {
			f &^= group
		}
	}
	var names []string
	for _, word := range flagNames {
		abbreviation := word.flags == Open || word.flags == Ignore
		if abbreviation && f&Open == word.flags || !abbreviation && f&word.flags != 0 {
			names = append(names, word.name)
			f &^= word.flags
		}
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, "+")
}
