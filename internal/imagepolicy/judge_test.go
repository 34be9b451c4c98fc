package imagepolicy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// foundImages are in the order of the columns of TestJudge.
var foundImages = []Found{
	{Present: true},
	{Present: true, ReadOnly: true},
	{Present: true, GrowFS: true},
	{Present: true, Verity: true, ReadOnly: true},
	{Present: true, Verity: true, Signature: true, ReadOnly: true},
	{Present: true, Encrypted: true},
	{Present: true, Bare: true},
	{Present: true, Bare: true, Encrypted: true},
	{Present: true, Bare: true, Verity: true},
	{Present: true, Bare: true, Verity: true, Signature: true},
	{}, // the image has other partitions only
}

// The answers are those of "systemd-dissect --validate" of systemd 262 for an image of each kind: + is used, ! refused,
// . ignored. Where it stands an s, systemd uses what the policy's words forbid, and Judge refuses it.
func TestJudge(t *testing.T) {
	for _, c := range []struct{ policy, answers string }{
		{"-", "..........."},
		{"*", "++++++++++."},
		{"~", "!!!!!!!!!!."},
		{"root=open", "++++++++++."},
		{"root=unprotected", "+++++!+!!!!"},
		{"root=unprotected+absent", "+++++!+!!!."},
		{"root=verity", "!!!++!!!+!!"},
		{"root=verity+absent", "!!!++!!!+!."},
		{"root=verity+unprotected", "!!!++!+!+!!"},
		{"root=verity+unprotected+absent", "+++++!+!+!."},
		{"root=signed", "!!!!+!!!!+!"},
		{"root=signed+absent", "!!!!+!!!!+."},
		{"root=signed+verity+absent", "!!!++!!!++."},
		{"root=signed+unprotected+absent", "+++++!+!!+."},
		{"root=encrypted+absent", "!!!!!+!+!!."},
		{"root=encryptedwithintegrity+absent", "!!!!!!!!!!."},
		{"root=encrypted+unprotected+absent", "++++++++!!."},
		{"root=encrypted+verity+absent", "sss+++!++!."},
		{"root=encrypted+signed+absent", "ssss++!+!+."},
		{"root=encrypted+unused", "sssss+!+!!!"},
		{"root=unused+unprotected", "+++++s+!!!!"},
		{"root=verity+unused", "!!!++!!!+!!"},
		{"root=absent", "!!!!!!!!!!."},
		{"root=unused", "..........!"},
		{"root=ignore", "..........."},
		{"root=read-only-on", "!+!++!!!!!."},
		{"root=read-only-off", "+!+!!+++++."},
		{"root=growfs-on", "!!+!!!!!!!."},
		{"root=growfs-off", "++!+++++++."},
		{"root=unprotected+absent+read-only-on", "!+!++!!!!!."},
		{"root=verity+absent+read-only-on", "!!!++!!!!!."},
		{"root=verity+absent:root-verity=absent", "!!!!!!!!+!."},
		{"root=verity+unprotected+absent:root-verity=absent", "+++!!!+!+!."},
		{"root=verity+unprotected+absent:root-verity=ignore", "+++++!+!+!."},
		{"root=verity+unprotected+absent:root-verity=unused", "!!!++!+!+!!"},
		{"root=verity+unprotected+absent:root-verity=verity", "!!!!!!+!+!!"},
		{"root=verity+unprotected+absent:root-verity=unprotected", "!!!++!+!+!!"},
		{"root=verity+absent:root-verity=ignore", "!!!!!!!!+!."},
		{"root=signed+absent:root-verity-sig=ignore", "!!!!!!!!!+."},
		{"root=signed+absent:root-verity-sig=absent", "!!!!!!!!!+."},
		{"root=signed+absent:root-verity-sig=unprotected", "!!!!+!!!!+!"},
		{"root=verity+absent:root-verity-sig=absent", "!!!+!!!!+!."},
		{"root=verity+absent:root-verity-sig=open", "!!!++!!!+!."},
		{"root=open:root-verity=ignore", "++++!+++++."},
		{"root=ignore:root-verity=open", "...!!......"},
		{"root=unprotected+absent:root-verity=open", "+++++!+!!!."},
		{"root=unprotected+absent:=open", "+++++!+!!!."},
		{"root=unprotected+absent:=absent", "+++!!!+!!!."},
		{"root=ext4+erofs", "++++++++++."},
	} {
		p := mustParse(t, c.policy)
		usr := mustParse(t, strings.ReplaceAll(c.policy, "root", "usr"))
		for i, f := range foundImages {
			want := strings.Replace(c.answers[i:i+1], "s", "!", 1)
			if got := answer(p.Judge(Root, f)); got != want {
				t.Errorf("%s: %+v gives %s, want %s", c.policy, f, got, want)
			}
			if got := answer(usr.Judge(Usr, f)); !f.Bare && got != want {
				t.Errorf("%s: %+v gives %s, want %s", usr, f, got, want)
			}
		}
	}
}

func answer(use Use, err error) string {
	switch {
	case err != nil:
		return "!"
	case use.Ignored:
		return "."
	}
	return "+"
}

// How an image that matches is opened.
func TestJudgeUse(t *testing.T) {
	bare := Found{Present: true, Bare: true}
	plain := Found{Present: true}
	tree := Found{Present: true, Verity: true}
	signed := Found{Present: true, Verity: true, Signature: true}
	bareTree, bareSigned := Found{Present: true, Bare: true, Verity: true}, Found{Present: true, Bare: true, Verity: true, Signature: true}
	for _, c := range []struct {
		policy string
		found  Found
		want   Use
	}{
		{"*", plain, Use{UnprotectedAllowed: true}},
		{"*", tree, Use{Verity: true, SignatureAllowed: true, VerityAllowed: true, UnprotectedAllowed: true}},
		{"*", signed, Use{Verity: true, SignatureAllowed: true, VerityAllowed: true, UnprotectedAllowed: true}},
		{"*", Found{}, Use{Ignored: true}},
		{"-", signed, Use{Ignored: true}},
		{"root=unused", signed, Use{Ignored: true}},
		{"root=signed", signed, Use{Verity: true, SignatureAllowed: true}},
		{"root=signed+verity", signed, Use{Verity: true, SignatureAllowed: true, VerityAllowed: true}},
		{"root=signed+unprotected", signed, Use{Verity: true, SignatureAllowed: true, UnprotectedAllowed: true}},
		// Without any signature beside it, opening it fails.
		{"root=signed+unprotected+absent", tree, Use{Verity: true, SignatureAllowed: true, UnprotectedAllowed: true}},
		// The signature is not checked then.
		{"root=verity", signed, Use{Verity: true, VerityAllowed: true}},
		{"root=verity+unprotected", signed, Use{Verity: true, VerityAllowed: true, UnprotectedAllowed: true}},
		// The hash tree is not used then.
		{"root=unprotected+absent", tree, Use{UnprotectedAllowed: true}},
		{"root=unprotected+absent", signed, Use{UnprotectedAllowed: true}},
		{"root=unprotected:root-verity=unprotected", tree, Use{UnprotectedAllowed: true}},
		{"root=open:root-verity=ignore", tree, Use{UnprotectedAllowed: true}},
		// The signature is ignored, and one that lies beside the image, too.
		{"root=signed+verity:root-verity-sig=ignore", signed, Use{Verity: true, VerityAllowed: true}},
		{"root=signed+verity:root-verity-sig=ignore", tree, Use{Verity: true, SignatureAllowed: true, VerityAllowed: true}},

		{"root=unprotected+xfs+btrfs", plain, Use{UnprotectedAllowed: true, FileSystems: []string{"btrfs", "xfs"}}},
		{"root=ignore+xfs", plain, Use{Ignored: true}},

		{"root=encrypted", Found{Present: true, Encrypted: true}, Use{}},
		{"root=encrypted+unprotected", Found{Present: true, Encrypted: true}, Use{UnprotectedAllowed: true}},
		{"root=encrypted+verity", Found{Present: true, Encrypted: true, Verity: true}, Use{Verity: true, VerityAllowed: true}},

		{"root=verity+unprotected", bare, Use{UnprotectedAllowed: true}},
		{"root=verity+unprotected", bareTree, Use{Verity: true, VerityAllowed: true, UnprotectedAllowed: true}},
		{"root=signed", bareSigned, Use{Verity: true, SignatureAllowed: true}},
		{"root=verity:root-verity=absent", bareTree, Use{Verity: true, VerityAllowed: true}},
		{"root=unprotected:usr=verity", Found{Bare: true}, Use{Ignored: true}},
	} {
		use, err := mustParse(t, c.policy).Judge(Root, c.found)
		if err != nil || !sameUse(use, c.want) {
			t.Errorf("%s: %+v gives %+v, %v; want %+v", c.policy, c.found, use, err, c.want)
		}
	}
}

func sameUse(a, b Use) bool {
	same := slices.Equal(a.FileSystems, b.FileSystems) && (a.FileSystems == nil) == (b.FileSystems == nil)
	return same && a.Ignored == b.Ignored && a.Verity == b.Verity && a.SignatureAllowed == b.SignatureAllowed &&
		a.VerityAllowed == b.VerityAllowed && a.UnprotectedAllowed == b.UnprotectedAllowed
}

func TestJudgeError(t *testing.T) {
	signed := Found{Present: true, Verity: true, Signature: true}
	for _, c := range []struct {
		policy     string
		found      Found
		designator Designator
		reason     string
		allowed    string
	}{
		{"root=signed", Found{Present: true}, Root, "is unprotected", "signed"},
		{"root=signed+absent", Found{Present: true, Verity: true}, Root, "has a hash tree without a signature", "signed+absent"},
		{"root=signed+absent", Found{Present: true, Signature: true}, Root, "is unprotected", "signed+absent"},
		{"root=encrypted", signed, Root, "has a hash tree and a signature", "encrypted"},
		{"root=verity+unused", Found{Present: true, Encrypted: true}, Root, "is encrypted", "verity+unused"},
		{"root=verity", Found{Present: true, Encrypted: true, Verity: true}, Root, "is encrypted", "verity"},
		{"root=encryptedwithintegrity", Found{Present: true, Encrypted: true}, Root, "is encrypted", "encryptedwithintegrity"},
		{"root=encrypted", Found{Present: true, Encrypted: true, Verity: true, Bare: true}, Root, "has a hash tree without a signature", "encrypted"},
		{"root=verity", Found{}, Root, "is missing", "verity"},
		{"root=unused", Found{}, Root, "is missing", "unused"},
		{"root=absent", Found{Present: true}, Root, "is there", "absent"},
		{"root=open+read-only-on", Found{Present: true}, Root, "lacks the attribute read-only", "open+read-only-on"},
		{"root=open+read-only-off", Found{Present: true, ReadOnly: true}, Root, "has the attribute read-only", "open+read-only-off"},
		{"root=open+growfs-on", Found{Present: true}, Root, "lacks the attribute growfs", "open+growfs-on"},
		{"root=open+growfs-off", Found{Present: true, GrowFS: true}, Root, "has the attribute growfs", "open+growfs-off"},
		{"root=verity:root-verity=ignore", signed, Root, "has a hash tree that is to be ignored", "verity"},
		{"root=signed:root-verity-sig=ignore", signed, Root, "has a hash tree and a signature that is to be ignored", "signed"},
		{"root=verity+unprotected", Found{Present: true}, RootVerity, "is missing", "unprotected"},
		{"root=open:root-verity=absent", signed, RootVerity, "is there", "absent"},
		{"root=open:root-verity=verity", signed, RootVerity, "is there", "nothing"},
		{"root=open:root-verity-sig=absent", signed, RootVeritySig, "is there", "absent"},
		{"root=ignore:root-verity=open", signed, RootVerity, "covers data that is not used", "unprotected+unused+absent"},
		{"root=open:root-verity=ignore", signed, RootVeritySig, "is for a hash tree that is not used", "unprotected+unused+absent"},
	} {
		_, err := mustParse(t, c.policy).Judge(Root, c.found)
		var refused *Error
		if !errors.As(err, &refused) {
			t.Errorf("%s: %+v gives %v", c.policy, c.found, err)
			continue
		}
		if refused.Designator != c.designator || refused.Reason != c.reason || refused.Found != c.found ||
			refused.Allowed != mustParse(t, c.policy).For(c.designator) {
			t.Errorf("%s: %+v gives %#v", c.policy, c.found, refused)
		}
		want := "it does not match the image policy: its " + string(c.designator) + " partition " + c.reason + ", allowed is " + c.allowed
		if err.Error() != want {
			t.Errorf("%s: %+v gives\n%v, want\n%s", c.policy, c.found, err, want)
		}
	}
}

func TestJudgeOtherDesignators(t *testing.T) {
	for _, c := range []struct {
		policy string
		d      Designator
		found  Found
		want   string
	}{
		{"home=absent", Home, Found{Present: true}, "!"},
		{"home=absent", Home, Found{}, "."},
		{"home=unprotected", Home, Found{Present: true}, "+"},
		{"home=unprotected", Home, Found{}, "!"},
		{"home=verity", Home, Found{Present: true}, "!"},
		{"home=verity", Home, Found{}, "!"},
		{"home=verity+absent", Home, Found{Present: true, Verity: true, Signature: true}, "!"},
		{"home=encrypted", Home, Found{Present: true, Encrypted: true}, "+"},
		{"root=open", Home, Found{Present: true}, "."},
		{"*", "boot", Found{Present: true}, "!"},
		{"*", "boot", Found{}, "!"},
	} {
		if got := answer(mustParse(t, c.policy).Judge(c.d, c.found)); got != c.want {
			t.Errorf("%s: %s %+v gives %s, want %s", c.policy, c.d, c.found, got, c.want)
		}
	}
}
