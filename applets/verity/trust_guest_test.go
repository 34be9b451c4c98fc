//go:build guest

package verity

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/keyring"
	"github.com/preroot/preroot/internal/trust"
)

// reloadVerity loads dm_verity anew with parameters, and at the end of the test without any: what is
// loaded first seals its keyring.
func reloadVerity(t *testing.T, parameters string) {
	t.Helper()
	if err := errors.Join(unix.DeleteModule("dm_verity", 0), insertVerity(parameters)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unix.DeleteModule("dm_verity", 0), insertVerity("")); err != nil {
			t.Error(err)
		}
	})
}

func insertVerity(parameters string) error {
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

// hasKeyring reports whether this kernel's dm_verity has a keyring: Linux 7.0 and newer.
func hasKeyring() bool {
	_, err := os.Stat("/sys/module/dm_verity/parameters/keyring_unsealed")
	return err == nil
}

// signer is a key with its certificate, made by openssl.
type signer struct {
	folder string
}

func (s signer) key() string { return filepath.Join(s.folder, "key") }
func (s signer) pem() string { return filepath.Join(s.folder, "certificate.pem") }
func (s signer) der() string { return filepath.Join(s.folder, "certificate.der") }

func openssl(t *testing.T, arguments ...string) {
	t.Helper()
	if output, err := exec.Command("openssl", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %q: %v\n%s", arguments, err, output)
	}
}

// newSigner makes a signer of an algorithm of openssl genpkey.
func newSigner(t *testing.T, algorithm ...string) signer {
	t.Helper()
	s := signer{t.TempDir()}
	configuration := filepath.Join(s.folder, "openssl.cnf")
	if err := os.WriteFile(configuration, []byte("[req]\ndistinguished_name=name\nx509_extensions=extensions\n[name]\n[extensions]\nsubjectKeyIdentifier=hash\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, append([]string{"genpkey", "-out", s.key(), "-algorithm"}, algorithm...)...)
	openssl(t, "req", "-config", configuration, "-new", "-x509", "-key", s.key(), "-subj", "/CN=preroot test", "-days", "30", "-out", s.pem())
	openssl(t, "x509", "-in", s.pem(), "-outform", "DER", "-out", s.der())
	return s
}

func newECSigner(t *testing.T) signer {
	t.Helper()
	return newSigner(t, "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
}

// sign signs the image's root hash as the manuals tell, and returns the file. Of attributes the kernel does
// not take those on capabilities, which openssl would add.
func (s signer) sign(t *testing.T, i tree, options ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "signature")
	openssl(t, append([]string{"smime", "-sign", "-binary", "-nosmimecap", "-in", i.path("root"), "-inkey", s.key(), "-signer", s.pem(),
		"-outform", "der", "-out", file}, options...)...)
	return file
}

var plainSignature = []string{"-nocerts", "-noattr"}

// loopImage is a formatted image on loop devices.
func loopImage(t *testing.T) (i tree, data, hash string) {
	t.Helper()
	i = format(t, 64<<10)
	return i, i.attach(t, "data"), i.attach(t, "hash")
}

// wantSigned makes sure that the kernel checked the signature of a device, and that the key is gone.
func wantSigned(t *testing.T, name string) {
	t.Helper()
	target, err := deviceMapper(t).Table(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := " 2 root_hash_sig_key_desc cryptsetup:11111111-2222-3333-4444-555555555555-" + name; !strings.HasSuffix(target.Parameters, want) {
		t.Errorf("table %q, want %q", target.Parameters, want)
	}
	for _, status := range []answer{ours(t, "status", name), theirs(t, "status", name)} {
		if status.code != 0 || !strings.Contains(status.stdout, "status:      verified (with signature)\n") {
			t.Errorf("status: %+v", status)
		}
	}
	if keys, _ := os.ReadFile("/proc/keys"); strings.Contains(string(keys), "cryptsetup:") {
		t.Errorf("left in the keyrings:\n%s", keys)
	}
}

// wantUnsigned makes sure that a device is open by a table without a signature.
func wantUnsigned(t *testing.T, name string) {
	t.Helper()
	target, err := deviceMapper(t).Table(name)
	if err != nil || strings.Contains(target.Parameters, "root_hash_sig_key_desc") {
		t.Errorf("%+v, %v", target, err)
	}
}

func TestTrustLetsTheKernelCheck(t *testing.T) {
	if !hasKeyring() {
		return // TestTrustNeedsTheKeyring
	}
	// Three primes are found faster; who checks does not notice.
	ec, rsa, stranger := newECSigner(t), newSigner(t, "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_primes:3"), newECSigner(t)
	reloadVerity(t, "keyring_unsealed=1")
	ours(t, "trust", ec.pem(), rsa.der()).want(t, "trust")

	i, data, hash := loopImage(t)
	for name, file := range map[string]string{
		"ec": ec.sign(t, i, plainSignature...), "rsa": rsa.sign(t, i, plainSignature...), "attributes": rsa.sign(t, i),
	} {
		t.Run(name, func(t *testing.T) {
			for _, policy := range [][]string{nil, {"--policy=signed"}} {
				closeAtEnd(t, "signed")
				ours(t, append([]string{"open", "--root-hash-signature=" + file, data, "signed", hash, i.root}, policy...)...).want(t, "open")
				wantSigned(t, "signed")
				theirs(t, "close", "signed").want(t, "close")
			}
			// What ours has let the kernel trust, the original uses.
			theirs(t, "open", "--root-hash-signature="+file, data, "signed", hash, i.root).want(t, "open by the original")
			wantSigned(t, "signed")
			ours(t, "close", "signed").want(t, "close")
		})
	}
	good, err := os.ReadFile(ec.sign(t, i, plainSignature...))
	if err != nil {
		t.Fatal(err)
	}
	good[len(good)-1] ^= 1
	other := format(t, 68<<10)
	for name, test := range map[string]struct {
		content []byte
		path    string
		errno   string
		code    int
	}{
		"tampered":           {content: good, errno: "Key was rejected by service", code: 5},
		"garbage":            {content: []byte("garbage"), errno: "Bad message", code: 5},
		"of a stranger":      {path: stranger.sign(t, i, plainSignature...), errno: "Required key not available", code: 1},
		"of another image":   {path: rsa.sign(t, other, plainSignature...), errno: "Key was rejected by service", code: 5},
		"attributes of that": {path: ec.sign(t, other), errno: "Key was rejected by service", code: 5},
	} {
		t.Run(name, func(t *testing.T) {
			if test.path == "" {
				test.path = i.path("signature")
				if err := os.WriteFile(test.path, test.content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			arguments := []string{"open", "--root-hash-signature=" + test.path, data, "signed", hash, i.root}
			a, original := ours(t, arguments...), theirs(t, arguments...)
			first, _, _ := strings.Cut(a.stderr, "\n")
			if a.code != test.code || a.code != original.code || first+"\n" != original.stderr || !strings.HasSuffix(first, test.errno) {
				t.Errorf("%+v, original %+v", a, original)
			}
			// What the kernel has rejected, no certificate makes good; the root hash does only if asked.
			if test.errno != "Required key not available" {
				a = ours(t, append(arguments, "--certificate="+ec.pem(), "--certificate="+rsa.pem())...)
				if a.code != test.code || !strings.Contains(a.stderr, "not opened: the kernel rejects the signature") {
					t.Errorf("%+v", a)
				}
			}
			wantNothingLeft(t)
		})
	}
}

// TestTrustSealsAnEmptyKeyring, and one that could not be filled.
func TestTrustSealsAnEmptyKeyring(t *testing.T) {
	if !hasKeyring() {
		return
	}
	s := newECSigner(t)
	for name, arguments := range map[string][]string{"nothing": {"trust"}, "bad file": {"trust", s.pem(), s.key()}} {
		t.Run(name, func(t *testing.T) {
			reloadVerity(t, "keyring_unsealed=1")
			want := answer{}
			if name == "bad file" {
				want = answer{stderr: s.key() + ": parse certificate: it is neither DER nor PEM\n", code: 1}
			}
			if a := ours(t, arguments...); a != want {
				t.Errorf("%+v", a)
			}
			want = answer{code: 5, stderr: "Keyring .dm-verity is sealed already, certificate " + s.pem() + " was not added. Load dm_verity with keyring_unsealed=1.\n"}
			if a := ours(t, "trust", s.pem()); a != want {
				t.Errorf("%+v", a)
			}
			// Sealed is what was asked for.
			ours(t, "trust").want(t, "trust nothing again")
			ring, err := keyring.Find(keyring.DMVerity)
			if err != nil {
				t.Fatal(err)
			}
			if err := ring.Seal(); !errors.Is(err, unix.EEXIST) {
				t.Errorf("it was not sealed: %v", err)
			}
			i, data, hash := loopImage(t)
			if a := ours(t, "open", "--root-hash-signature="+s.sign(t, i, plainSignature...), data, "signed", hash, i.root); a.code != 1 {
				t.Errorf("%+v", a)
			}
			wantNothingLeft(t)
		})
	}
}

func TestTrustNeedsTheKeyring(t *testing.T) {
	if !hasKeyring() {
		want := answer{code: 1, stderr: "This kernel has no keyring .dm-verity (Linux 7.0 or newer has it).\n"}
		if a := ours(t, "trust"); a != want {
			t.Errorf("%+v", a)
		}
	}
	if err := unix.DeleteModule("dm_verity", 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := insertVerity(""); err != nil {
			t.Error(err)
		}
	})
	want := answer{code: 4, stderr: "Kernel module dm_verity is not loaded. Load dm_verity with keyring_unsealed=1.\n"}
	if a := ours(t, "trust"); a != want {
		t.Errorf("%+v", a)
	}
}

// TestSignedInUserSpace: on both kernels the kernel knows no key here.
func TestSignedInUserSpace(t *testing.T) {
	s, stranger := newECSigner(t), newECSigner(t)
	i, data, hash := loopImage(t)
	file := s.sign(t, i, plainSignature...)
	other := stranger.sign(t, i)
	open := func(arguments ...string) answer {
		t.Helper()
		return ours(t, append([]string{"open", data, "signed", hash, i.root}, arguments...)...)
	}
	closeAtEnd(t, "signed")
	for name, arguments := range map[string][]string{
		"certificate":         {"--root-hash-signature=" + file, "--certificate=" + s.pem()},
		"certificates, DER":   {"--root-hash-signature=" + file, "--certificate=" + stranger.der(), "--certificate=" + s.der(), "--policy=signed"},
		"any":                 {"--root-hash-signature=" + file, "--certificate=" + s.pem(), "--policy=any"},
		"attributes, certs":   {"--root-hash-signature=" + other, "--certificate=" + stranger.pem()},
		"verity, without one": {"--policy=verity"},
	} {
		open(arguments...).want(t, name)
		wantUnsigned(t, "signed")
		ours(t, "close", "signed").want(t, "close")
	}
	for name, arguments := range map[string][]string{
		"kernel only":          {"--root-hash-signature=" + file},
		"signed, kernel only":  {"--root-hash-signature=" + file, "--policy=signed"},
		"wrong certificate":    {"--root-hash-signature=" + file, "--certificate=" + stranger.pem()},
		"certificate inside":   {"--root-hash-signature=" + other, "--certificate=" + s.pem()},
		"any, wrong":           {"--root-hash-signature=" + file, "--certificate=" + stranger.pem(), "--policy=any"},
		"signed, no signature": {"--policy=signed"},
		"no signature":         {"--certificate=" + s.pem()},
		"not a certificate":    {"--root-hash-signature=" + file, "--certificate=" + s.key(), "--policy=verity"},
	} {
		if a := open(arguments...); a.code != 1 || a.stdout != "" || a.stderr == "" {
			t.Errorf("%s: %+v", name, a)
		}
		wantNothingLeft(t)
	}
	t.Setenv(trust.UserSpaceVariable, "0")
	if a := open("--root-hash-signature="+file, "--certificate="+s.pem()); a.code != 1 || !strings.Contains(a.stderr, "switched off") {
		t.Errorf("switched off: %+v", a)
	}
	wantNothingLeft(t)
	a := open("--root-hash-signature="+file, "--certificate="+s.pem(), "--policy=verity")
	if a.code != 0 || !strings.Contains(a.stderr, "WARNING: opened by its root hash alone, signature "+file+" does not count: the kernel has no key") {
		t.Errorf("verity: %+v", a)
	}
	wantUnsigned(t, "signed")
}

// TestSignedByTheImage: certificates of an initramfs, which this guest lives in, count without being named.
func TestSignedByTheImage(t *testing.T) {
	s := newECSigner(t)
	i, data, hash := loopImage(t)
	arguments := []string{"open", "--root-hash-signature=" + s.sign(t, i, plainSignature...), data, "signed", hash, i.root}
	const directory = "/usr/lib/verity.d"
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	text, err := os.ReadFile(s.pem())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(directory+"/test.crt", text, 0o644); err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, "signed")
	ours(t, arguments...).want(t, "open")
	wantUnsigned(t, "signed")
	ours(t, "close", "signed").want(t, "close")
	// The same from somewhere else is nobody's.
	if err := unix.Mount("tmpfs", directory, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(directory, unix.MNT_DETACH) })
	if err := os.WriteFile(directory+"/test.crt", text, 0o644); err != nil {
		t.Fatal(err)
	}
	if a := ours(t, arguments...); a.code != 1 {
		t.Errorf("%+v", a)
	}
	wantNothingLeft(t)
}

// TestSignedIsRequired: the module's parameter makes the kernel refuse all tables without a signature that it
// accepts, whatever the policy says.
func TestSignedIsRequired(t *testing.T) {
	s := newECSigner(t)
	i, data, hash := loopImage(t)
	file := s.sign(t, i, plainSignature...)
	reloadVerity(t, "require_signatures=1")
	for name, arguments := range map[string][]string{
		"unsigned": nil, "verity": {"--policy=verity"}, "user space": {"--root-hash-signature=" + file, "--certificate=" + s.pem()},
	} {
		a := ours(t, append([]string{"open", data, "signed", hash, i.root}, arguments...)...)
		if a.code != 1 || !strings.Contains(a.stderr, "Required key not available") {
			t.Errorf("%s: %+v", name, a)
		}
		wantNothingLeft(t)
	}
	original := theirs(t, "open", data, "signed", hash, i.root)
	a := ours(t, "open", data, "signed", hash, i.root)
	if first, _, _ := strings.Cut(a.stderr, "\n"); first+"\n" != original.stderr || a.code != original.code {
		t.Errorf("%+v, original %+v", a, original)
	}
}
