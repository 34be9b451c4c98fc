//go:build guest

package merge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/ddi/dditest"
)

// newSigner makes a key and its certificate with openssl. sign makes a detached signature of a text, as systemd-repart does.
func newSigner(t *testing.T) (certificate string, sign func(text string) []byte) {
	t.Helper()
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	openssl := func(arguments ...string) {
		if output, err := exec.Command("openssl", arguments...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %q: %v\n%s", arguments, err, output)
		}
	}
	if err := os.WriteFile(at("cnf"), []byte("[req]\ndistinguished_name=name\n[name]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl("genpkey", "-out", at("key"), "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	openssl("req", "-config", at("cnf"), "-new", "-x509", "-key", at("key"), "-subj", "/CN=preroot test", "-days", "30", "-out", at("pem"))
	return at("pem"), func(text string) []byte {
		if err := os.WriteFile(at("text"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		openssl("smime", "-sign", "-binary", "-noattr", "-in", at("text"), "-inkey", at("key"), "-signer", at("pem"), "-outform", "der", "-out", at("signature"))
		signature, err := os.ReadFile(at("signature"))
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
}

// "signed" means verified: by a certificate of the root, for both programs alike. Under the usual policy a signature decides nothing.
func TestSignedImage(t *testing.T) {
	const policy, folder = "--image-policy=root=signed", "/etc/verity.d"
	w := newWorld(t)
	pem, sign := newSigner(t)
	content := w.packed("erofs", "one")
	w.addRaw("one.raw", dditest.Image{Content: content, Sign: sign}.Build().Data)
	w.check(os.MkdirAll(folder, 0o755))
	defer os.RemoveAll(folder)

	// Nobody trusts the signer.
	w.has(w.ours("merge", policy), "Ignoring extension 'one': the image policy wants a signature that is accepted: ")
	w.is(w.read("one"), "missing")
	if output, err := exec.Command("systemd-confext", "merge", policy).CombinedOutput(); err == nil {
		t.Errorf("systemd merges it: %s", output)
	}
	w.has(w.ours("plan"), "verity, signature not accepted: ")
	w.ours("merge")
	w.is(w.read("one"), "one")
	w.ours("unmerge")

	// The root trusts the signer.
	text, err := os.ReadFile(pem)
	w.check(err)
	w.write(folder+"/signer.crt", string(text))
	w.has(w.ours("plan", policy), "verity, signature accepted by a certificate")
	w.ours("merge", policy)
	w.is(w.read("one"), "one")
	w.has(w.theirs("refresh", policy), skipping)
	w.theirs("refresh", policy, "--always-refresh=yes")
	w.is(w.ours("refresh", policy), skipping)
	w.ours("unmerge")
	t.Setenv("SYSTEMD_DISSECT_VERITY_SIGNATURE", "0")
	w.has(w.ours("merge", policy), "Ignoring extension 'one': ")
	t.Setenv("SYSTEMD_DISSECT_VERITY_SIGNATURE", "1")
	t.Setenv("SYSTEMD_ALLOW_USERSPACE_VERITY", "0")
	w.has(w.ours("merge", policy), "Ignoring extension 'one': ")
	t.Setenv("SYSTEMD_ALLOW_USERSPACE_VERITY", "1")

	// A signature of something else, and none.
	w.addRaw("one.raw", dditest.Image{Content: content, Sign: func(string) []byte { return sign(strings.Repeat("0", 64)) }}.Build().Data)
	w.has(w.ours("merge", policy), "Ignoring extension 'one': the image policy wants a signature that is accepted: ")
	w.addRaw("one.raw", w.image("one"))
	w.has(w.ours("merge", policy), "Ignoring extension 'one': it does not match the image policy: ")
	w.is(w.read("one"), "missing")
	w.fails("Failed to read metadata for image one: ", "merge", policy, "--strict")
}
