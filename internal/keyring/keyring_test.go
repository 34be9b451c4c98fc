package keyring

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWithUserKeyBoundsThePayload(t *testing.T) {
	for _, size := range []int{0, MaxUserKey + 1} {
		err := WithUserKey("preroot-test", bytes.Repeat([]byte{1}, size), func() error {
			t.Error("called")
			return nil
		})
		failed, ok := errors.AsType[*Error](err)
		if !ok || failed.Operation != OperationAdd || !errors.Is(err, unix.EINVAL) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestErrorNamesWhatFailed(t *testing.T) {
	err := error(&Error{Operation: OperationSeal, Key: "keyring .dm-verity", Errno: unix.EEXIST})
	if err.Error() != "seal keyring .dm-verity: file exists" || !errors.Is(err, unix.EEXIST) {
		t.Error(err)
	}
}

// keysOf72 is part of /proc/keys of Linux 7.2, with lines added that are not the keyring.
const keysOf72 = `05556bdf I--Q---     1 perm 39010000     0     0 asymmetri verity spec test: e849234d: X509.rsa 8b43350a []
11111111 I--Q---     1 perm 39010000     0     0 asymmetri .dm-verity: 1
116d4aac I--Q---     2 perm 1f3f0000     0 65534 keyring   _uid.0: empty
22222222 I------     1 perm 082f0000  1000     0 keyring   .dm-verity: 1
33333333 I------     1 perm 082f0000     0     0 keyring   .dm-verity-not: 1
fffffff1 I------     1 perm 082f0000     0     0 keyring   .dm-verity: 1
3d55f578 I------     1 perm 082f0000     0     0 keyring   .dm-verity: 1
392c2ca3 I------     2 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: 1
`

func TestFindInList(t *testing.T) {
	for name, want := range map[string]int{
		".dm-verity": 0x3d55f578, ".builtin_trusted_keys": 0x392c2ca3, "_uid.0": 0x116d4aac, ".dm": 0, "": 0, ".fs-verity": 0,
	} {
		if id, found := findInList(keysOf72, name); id != want || found != (want != 0) {
			t.Errorf("%s: %x, %v", name, id, found)
		}
	}
	if _, found := findInList("", DMVerity); found {
		t.Error("found in nothing")
	}
}

func TestFindSaysThatThereIsNone(t *testing.T) {
	if _, err := Find(".preroot-has-no-such"); !errors.Is(err, ErrNoKeyring) {
		t.Error(err)
	}
}

func TestAddCertificateRefusesNothing(t *testing.T) {
	if err := (&Keyring{name: DMVerity}).AddCertificate(nil); !errors.Is(err, unix.EBADMSG) {
		t.Error(err)
	}
}

func TestJudgingKeyrings(t *testing.T) {
	rings, known := judgingKeyrings(keysOf72)
	if !known || !slices.Equal(rings, []int{0x392c2ca3, 0x3d55f578}) {
		t.Errorf("%x, %v", rings, known)
	}
	revoked := "12345678 I------     1 perm 1f0b0000     0     0 blacklist tbs:0123: \n"
	for name, text := range map[string]string{
		"nothing": "", "no builtin keyring": strings.ReplaceAll(keysOf72, ".builtin_trusted_keys", ".builtin_other_keys"),
		"a certificate that is revoked by its hash": keysOf72 + revoked,
	} {
		if rings, known := judgingKeyrings(text); known {
			t.Errorf("%s: %x", name, rings)
		}
	}
	if _, known := judgingKeyrings(keysOf72 + strings.Replace(revoked, "tbs:", "bin:", 1)); !known {
		t.Error("the hash of a program that is revoked says nothing about certificates")
	}
}
