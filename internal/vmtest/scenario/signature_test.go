//go:build vm

package scenario

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest"
)

// The testbed's /usr has a signature partition, made with keys/verity.key.
const (
	signedOnly  = "\n[Verity]\nUsrPolicy=signed\n"
	sealKeyring = "SealKeyring=yes\n"
	stopAtInit  = "init=/usr/lib/testbed/init-stop"
	usrOptions  = " systemd.verity_usr_options="
)

// signedBoot is a boot whose end depends on the signature of /usr.
type signedBoot struct {
	name string
	// suite is the kernel, forky's when empty.
	suite    string
	settings string
	// certificate in the image: verity is the right one, untrusted another; "" for none.
	certificate string
	// options are those of systemd.verity_usr_options=.
	options func(t *testing.T, hash string) string
	// change makes damage on a private copy of the disk.
	change func(t *testing.T, b *vmtest.Testbed, disk string)
	// says is what the boot says about the signature when /usr is opened; refused the cause when it is not.
	says, refused string
}

var signedBoots = []signedBoot{
	{name: "by the image's certificate", settings: signedOnly, certificate: "verity",
		says: "signature from /dev/vda3 accepted by a certificate"},
	{name: "by the image's certificate on 6.12", suite: vmtest.Trixie, settings: signedOnly, certificate: "verity",
		says: "signature from /dev/vda3 accepted by a certificate"},
	{name: "by the kernel", settings: signedOnly + sealKeyring, certificate: "verity",
		says: "signature from /dev/vda3 accepted by the kernel"},
	{name: "asked for, in the partition", certificate: "verity", options: optionsOf("root-hash-signature=auto,restart-on-corruption"),
		says: "signature from /dev/vda3 accepted by a certificate"},
	{name: "on the command line", certificate: "verity", settings: signedOnly, options: signatureBy("verity"), change: wipeSignature,
		says: "signature from the kernel command line accepted by a certificate"},
	{name: "nobody knows the signer, and nobody asks", certificate: "untrusted",
		says: "/usr is opened by its root hash alone, the signature from /dev/vda3 does not count: the kernel has no key for the signature, " +
			"no trusted certificate confirms it"},

	{name: "no certificate", settings: signedOnly,
		refused: `/usr is not opened: the kernel has no key for the signature \(there is no trusted certificate\) \(signature from /dev/vda3\).*UsrPolicy=signed`},
	{name: "another certificate", settings: signedOnly, certificate: "untrusted",
		refused: `/usr is not opened: the kernel has no key for the signature, no trusted certificate confirms it .*UsrPolicy=signed`},
	{name: "another certificate on 6.12", suite: vmtest.Trixie, settings: signedOnly, certificate: "untrusted",
		refused: `/usr is not opened: .* no trusted certificate confirms it .*UsrPolicy=signed`},
	{name: "another certificate for the kernel", settings: signedOnly + sealKeyring, certificate: "untrusted",
		refused: `/usr is not opened: .*UsrPolicy=signed`},
	{name: "no signature", settings: signedOnly, certificate: "verity", change: wipeSignature,
		refused: `/usr is not opened: there is no signature.*UsrPolicy=signed`},
	{name: "no signature where one is asked for", certificate: "verity", change: wipeSignature, options: optionsOf("root-hash-signature=auto"),
		refused: `root-hash-signature=auto, but no partition on the disk vda has a signature of this root hash`},
	{name: "damaged signature", settings: signedOnly, certificate: "verity", options: damagedSignature,
		refused: `/usr is not opened: .*signature from the kernel command line`},
	{name: "given and wrong, whatever the policy", certificate: "verity", options: signatureBy("untrusted"),
		refused: `/usr is not opened: .*no trusted certificate confirms it.*root-hash-signature= is given`},
	{name: "user space switched off", settings: signedOnly, certificate: "verity", options: optionsOf("auto systemd.allow_userspace_verity=0"),
		refused: `/usr is not opened: .*switched off: systemd.allow_userspace_verity`},
	{name: "no file of the name", certificate: "verity", options: optionsOf("root-hash-signature=/etc/usr.p7s"),
		refused: `root-hash-signature=: open /etc/usr.p7s: no such file.*has to be in this image`},
	{name: "a word that nobody knows", options: optionsOf("panic-on-coruption"),
		refused: `systemd.verity_usr_options= panic-on-coruption: this word is not known`},
	{name: "no keyring on 6.12", suite: vmtest.Trixie, settings: signedOnly + sealKeyring, certificate: "verity",
		refused: `SealKeyring=yes: this kernel has no keyring .dm-verity`},
}

// TestSignedUsr boots with policies, certificates and signatures that fit or do not.
func TestSignedUsr(t *testing.T) {
	for _, b := range signedBoots {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			if b.suite == "" {
				b.suite = vmtest.Forky
			}
			dir := t.TempDir()
			testbed, err := vmtest.OpenTestbed()
			if err != nil {
				t.Fatal(err)
			}
			var includes []initramfs.Include
			if b.certificate != "" {
				includes = append(includes, initramfs.Include{Source: keyFile(t, testbed, b.certificate+".crt"), Destination: "/etc/verity.d/usr.crt"})
			}
			m, err := PrepareWith(b.suite, dir, b.settings, includes...)
			if err != nil {
				t.Fatal(err)
			}
			start := refusal{change: b.change}.start(t, testbed)
			start.Append, start.Timeout = stopAtInit, 300*time.Second
			if b.options != nil {
				start.Append += usrOptions + b.options(t, testbed.Values["USRHASH"])
			}
			run, err := m.Boot(t.Context(), start)
			if err != nil {
				t.Fatal(err)
			}
			logRun(t, run)
			if b.refused != "" {
				judge(t, run, CheckRefusal(run, regexp.MustCompile(b.refused), refusalLimit))
				return
			}
			if _, reached := run.Find("testbed: mark init "); !reached || !strings.Contains(run.Console, b.says) {
				t.Errorf("reached the real root: %v; want %q:\n%s", reached, b.says, run.Tail(80))
			}
			// A kernel that lacks the key is not made to prepare the algorithms of the signature.
			if asked := strings.Contains(run.Console, "Root hash verification failed"); asked {
				t.Errorf("the kernel judged the signature:\n%s", run.Tail(80))
			}
		})
	}
}

func keyFile(t *testing.T, b *vmtest.Testbed, name string) string {
	t.Helper()
	file, err := b.File("keys/"+name, "scripts/testbed/make-keys")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func optionsOf(text string) func(*testing.T, string) string {
	return func(*testing.T, string) string { return text }
}

// sign makes a signature with one of the testbed's keys.
func sign(t *testing.T, signer, hash string) []byte {
	t.Helper()
	b, err := vmtest.OpenTestbed()
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "hash")
	if err := os.WriteFile(text, []byte(hash), 0o600); err != nil {
		t.Fatal(err)
	}
	der, err := exec.Command("openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary", "-outform", "der", "-in", text,
		"-inkey", keyFile(t, b, signer+".key"), "-signer", keyFile(t, b, signer+".crt")).Output()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func signatureBy(signer string) func(*testing.T, string) string {
	return func(t *testing.T, hash string) string {
		t.Helper()
		return "root-hash-signature=base64:" + base64.StdEncoding.EncodeToString(sign(t, signer, hash))
	}
}

func damagedSignature(t *testing.T, hash string) string {
	t.Helper()
	der := sign(t, "verity", hash)
	der[len(der)-5] ^= 1
	return "root-hash-signature=base64:" + base64.StdEncoding.EncodeToString(der)
}

// wipeSignature takes away the start of the signature partition.
func wipeSignature(t *testing.T, b *vmtest.Testbed, disk string) {
	t.Helper()
	start := offsetOf(t, b, "USR_VERITY_SIG_OFFSET")
	if err := vmtest.PatchDisk(disk, start, make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
}
