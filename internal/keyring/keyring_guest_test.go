//go:build guest

package keyring

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// findKey looks for a user key in the keyring of the calling thread.
func findKey(description string) (payload string, err error) {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_THREAD_KEYRING, "user", description, 0)
	if err != nil {
		return "", err
	}
	buffer := make([]byte, MaxUserKey)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buffer, 0)
	return string(buffer[:max(0, n)]), err
}

func TestWithUserKey(t *testing.T) {
	const description = "cryptsetup:11111111-2222-3333-4444-555555555555-preroot test"
	failure := errors.New("of use")
	wantGone := func(when string) {
		t.Helper()
		if payload, err := findKey(description); err == nil {
			t.Errorf("%s: the key is there: %q", when, payload)
		}
	}
	err := WithUserKey(description, []byte("payload"), func() error {
		if payload, err := findKey(description); payload != "payload" || err != nil {
			t.Errorf("%q, %v", payload, err)
		}
		// Another thread has other keys.
		elsewhere := make(chan error)
		go func() {
			_, err := findKey(description)
			elsewhere <- err
		}()
		if err := <-elsewhere; err == nil {
			t.Error("another thread finds the key")
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Error(err)
	}
	wantGone("after a failure")
	if err := WithUserKey(description, make([]byte, MaxUserKey), func() error { return nil }); err != nil {
		t.Error(err)
	}
	wantGone("after success")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic got lost")
			}
		}()
		_ = WithUserKey(description, []byte("payload"), func() error { panic("of use") })
	}()
	wantGone("after a panic")
	// Longer than the kernel takes.
	err = WithUserKey(strings.Repeat("x", 5000), []byte("payload"), func() error {
		t.Error("called")
		return nil
	})
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Operation != OperationAdd || !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
}

// reloadVerity loads dm_verity anew with parameters, and at the end of the test without any.
func reloadVerity(t *testing.T, parameters string) {
	t.Helper()
	reload := func(parameters string) error {
		if err := unix.DeleteModule("dm_verity", 0); err != nil {
			return err
		}
		files, err := filepath.Glob("/lib/modules/*/kernel/drivers/md/dm-verity.ko")
		if err != nil || len(files) != 1 {
			return errors.New("no dm-verity.ko")
		}
		file, err := os.Open(files[0])
		if err != nil {
			return err
		}
		defer file.Close()
		return unix.FinitModule(int(file.Fd()), parameters, 0)
	}
	if err := reload(parameters); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reload(""); err != nil {
			t.Error(err)
		}
	})
}

// hasKeyring reports whether dm_verity of this kernel, Linux 7.0 or newer, has a keyring of its own.
func hasKeyring(t *testing.T) bool {
	t.Helper()
	_, err := os.Stat("/sys/module/dm_verity/parameters/keyring_unsealed")
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		t.Fatal(err)
	}
	if release := unix.ByteSliceToString(names.Release[:]); (err == nil) == strings.HasPrefix(release, "6.") {
		t.Fatalf("Linux %s: %v", release, err)
	}
	return err == nil
}

func newCertificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "preroot test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0),
		SubjectKeyId: []byte{1, 2, 3, 4},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestKeyringOfAnOldKernel(t *testing.T) {
	if _, err := Find(DMVerity); errors.Is(err, ErrNoKeyring) == hasKeyring(t) {
		t.Error(err)
	}
}

// TestKeyringSealedByTheKernel: without its parameter the module seals the keyring itself.
func TestKeyringSealedByTheKernel(t *testing.T) {
	if !hasKeyring(t) {
		return // TestKeyringOfAnOldKernel
	}
	reloadVerity(t, "")
	ring, err := Find(DMVerity)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.AddCertificate(newCertificate(t)); !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
	if err := ring.Seal(); !errors.Is(err, unix.EEXIST) {
		t.Error(err)
	}
}

func TestKeyringFilledAndSealed(t *testing.T) {
	if !hasKeyring(t) {
		return
	}
	reloadVerity(t, "keyring_unsealed=1")
	ring, err := Find(DMVerity)
	if err != nil {
		t.Fatal(err)
	}
	certificate := newCertificate(t)
	if err := ring.AddCertificate([]byte("garbage")); !errors.Is(err, unix.EBADMSG) {
		t.Error(err)
	}
	for range 2 { // the same one again is no error
		if err := ring.AddCertificate(certificate); err != nil {
			t.Error(err)
		}
	}
	if list, _ := os.ReadFile(keysFile); !strings.Contains(string(list), "preroot test") {
		t.Errorf("no certificate in\n%s", list)
	}
	if err := ring.Seal(); err != nil {
		t.Error(err)
	}
	if err := ring.AddCertificate(newCertificate(t)); !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
	if err := ring.Seal(); !errors.Is(err, unix.EEXIST) {
		t.Error(err)
	}
}

// TestLacksKeys: a key is found by each of its names, in the keyring of dm-verity and in that of the kernel's own keys.
func TestLacksKeys(t *testing.T) {
	unknown := [][]byte{[]byte("nobody's"), bytes.Repeat([]byte{7}, 60)}
	if !LacksKeys(unknown) {
		list, err := os.ReadFile(keysFile)
		t.Fatalf("the kernel has a key of nobody: %s, %v", list, err)
	}
	if LacksKeys([][]byte{bytes.Repeat([]byte{7}, 4096)}) {
		t.Error("certain of a key that cannot be looked for")
	}
	// The kernel lists its own by their whole identifiers: "NAME: 140112...b25f: X509.rsa 0584b25f []".
	list, err := os.ReadFile(keysFile)
	if err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`asymmetri .*: ([0-9a-f]+): X509`).FindSubmatch(list)
	if own == nil {
		t.Fatalf("the kernel has no key of its own:\n%s", list)
	}
	identifier, err := hex.DecodeString(string(own[1]))
	if err != nil || LacksKeys(append(unknown, identifier)) {
		t.Errorf("the kernel's own key %x is not found (%v)", identifier, err)
	}
	if !hasKeyring(t) {
		return
	}
	reloadVerity(t, "keyring_unsealed=1")
	ring, err := Find(DMVerity)
	if err != nil {
		t.Fatal(err)
	}
	byKey := []byte{1, 2, 3, 4}
	bySerial := append([]byte{1}, certificateIssuer(t)...)
	for _, identifier := range [][]byte{byKey, bySerial} {
		if !LacksKeys([][]byte{identifier}) {
			t.Errorf("%x is there before", identifier)
		}
	}
	if err := ring.AddCertificate(newCertificate(t)); err != nil {
		t.Fatal(err)
	}
	for _, identifier := range [][]byte{byKey, bySerial} {
		if LacksKeys([][]byte{identifier}) {
			t.Errorf("%x is not found", identifier)
		}
	}
	if err := ring.Seal(); err != nil {
		t.Fatal(err)
	}
	if LacksKeys([][]byte{byKey}) || !LacksKeys(unknown) {
		t.Error("other when it is sealed")
	}
}

// certificateIssuer is the content of the name in newCertificate.
func certificateIssuer(t *testing.T) []byte {
	t.Helper()
	name, err := asn1.Marshal(pkix.Name{CommonName: "preroot test"}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	var sequence asn1.RawValue
	if _, err := asn1.Unmarshal(name, &sequence); err != nil {
		t.Fatal(err)
	}
	return sequence.Bytes
}
